// Dockerfile lines that change a configuration (`docker import --change`, `docker commit --change`), and completing one.
import { invalid } from "./contract.mjs";

function form(rest) {
  try {
    const list = JSON.parse(rest);
    if (Array.isArray(list) && list.every((each) => typeof each === "string")) return list;
  } catch {
    // the form of a shell's line
  }
  return ["/bin/sh", "-c", rest];
}

const unquoted = (word) => word.replace(/"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/g, (_, double, single, one) => one ?? single ?? double.replace(/\\(.)/g, "$1"));
const words = (rest) => (rest.match(/(?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'\\])+/g) ?? []).map(unquoted);

function pairs(rest, what) {
  if (!/^\S+=/.test(rest)) {
    const [, key, value] = /^(\S+)\s+(.+)$/s.exec(rest) ?? [];
    if (!key) throw invalid(`${what} must have two arguments`);
    return [[key, value]];
  }
  return words(rest).map((word) => {
    const at = word.indexOf("=");
    if (at < 1) throw invalid(`Syntax error - can't find = in "${word}". Must be of the form: name=value`);
    return [word.slice(0, at), word.slice(at + 1)];
  });
}

function environment(env, [key, value]) {
  return [...env.filter((each) => each.split("=")[0] !== key), `${key}=${value}`];
}

const named = (names) => Object.fromEntries(names.map((name) => [name, {}]));
const list = (rest) => (rest.startsWith("[") ? form(rest) : words(rest));
const port = (name) => (name.includes("/") ? name : `${name}/tcp`);

const CHANGES = {
  CMD: (config, rest) => ({ cmd: form(rest) }),
  ENTRYPOINT: (config, rest) => ({ entrypoint: form(rest) }),
  ENV: (config, rest) => ({ env: pairs(rest, "ENV").reduce(environment, config.env) }),
  LABEL: (config, rest) => ({ labels: { ...config.labels, ...Object.fromEntries(pairs(rest, "LABEL")) } }),
  USER: (config, rest) => ({ user: rest }),
  WORKDIR: (config, rest) => ({ working_dir: rest.startsWith("/") ? rest : `${config.working_dir}/${rest}` }),
  EXPOSE: (config, rest) => ({ exposed_ports: { ...config.exposed_ports, ...named(words(rest).map(port)) } }),
  VOLUME: (config, rest) => ({ volumes: { ...config.volumes, ...named(list(rest)) } }),
  STOPSIGNAL: (config, rest) => ({ stop_signal: rest }),
  ONBUILD: (config, rest) => ({ on_build: [...(config.on_build ?? []), rest] }),
};

export function changed(config, lines) {
  return lines.reduce((made, line) => {
    const [, verb, rest] = /^\s*(\S+)\s*(.*)$/s.exec(line) ?? [];
    const change = CHANGES[(verb ?? "").toUpperCase()];
    if (!change) throw invalid(`${(verb ?? "").toLowerCase()} is not a valid change command`);
    return { ...made, ...change(made, rest.trim()) };
  }, config);
}

// The user's configuration completed by the image's, as dockerd's `merge` does it.
export function completed(user, image) {
  const own = new Set(user.env.map((each) => each.split("=")[0]));
  const joined = (key) => (user[key] || image[key] ? { ...image[key], ...user[key] } : null);
  const isOwn = user.entrypoint?.length > 0;
  return {
    ...user,
    user: user.user || image.user,
    env: [...user.env, ...image.env.filter((each) => !own.has(each.split("=")[0]))],
    labels: { ...image.labels, ...user.labels },
    entrypoint: user.entrypoint ?? image.entrypoint,
    cmd: user.cmd ?? (isOwn ? null : image.cmd),
    exposed_ports: joined("exposed_ports"),
    volumes: joined("volumes"),
    healthcheck: user.healthcheck ?? image.healthcheck,
    working_dir: user.working_dir || image.working_dir,
    stop_signal: user.stop_signal || image.stop_signal,
  };
}
