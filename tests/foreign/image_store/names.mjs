// References: `[domain/]path[:tag][@digest]`, with the familiar form of Docker Hub's names (distribution/reference).
import { invalid } from "./contract.mjs";

const COMPONENT = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const LABEL = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const DOMAIN = `(?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const TAG = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
const REFERENCE = new RegExp(`^(${DOMAIN})/(${COMPONENT}(?:/${COMPONENT})*)(?::(${TAG}))?(?:@(sha256:[0-9a-f]{64}))?$`);
const LONGEST = 255;

export const isId = (text) => /^(sha256:)?[0-9a-f]{64}$/.test(text);

function splitDomain(text) {
  const slash = text.indexOf("/");
  if (slash < 0) return ["docker.io", `library/${text}`];
  let [first, rest] = [text.slice(0, slash), text.slice(slash + 1)];
  if (first === "index.docker.io") first = "docker.io";
  else if (!/[.:A-Z]/.test(first) && first !== "localhost") [first, rest] = ["docker.io", text];
  return [first, first === "docker.io" && !rest.includes("/") ? `library/${rest}` : rest];
}

function familiar(domain, path) {
  if (domain !== "docker.io") return `${domain}/${path}`;
  const official = path.replace(/^library\//, "");
  return official.includes("/") ? path : official;
}

// {repository, tag, digest, full, familiar}; `latest` where there is neither tag nor digest.
export function parse(text, tagGiven = "") {
  if (/^[0-9a-f]{64}$/.test(text)) throw invalid(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  const [domain, rest] = splitDomain(text);
  const remote = rest.split(":")[0];
  if (remote !== remote.toLowerCase()) {
    throw invalid(`invalid reference format: repository name (${remote}) must be lowercase`);
  }
  const match = REFERENCE.exec(`${domain}/${rest}`);
  if (!match) throw invalid("invalid reference format");
  if (match[2].length > LONGEST) throw invalid(`repository name must not be more than ${LONGEST} characters`);
  if (tagGiven && !new RegExp(`^${TAG}$`).test(tagGiven)) throw invalid("invalid tag format");
  const digest = match[4] ?? "", tag = digest ? "" : tagGiven || match[3] || "latest";
  const suffix = digest ? `@${digest}` : `:${tag}`;
  const repository = familiar(match[1], match[2]);
  return { repository, tag, digest, full: `${match[1]}/${match[2]}${suffix}`, familiar: repository + suffix };
}

// A name that an image may get.
export function target(repository, tag) {
  const name = parse(repository, tag);
  if (name.digest) throw invalid("refusing to create a tag with a digest reference");
  if (name.repository === "sha256") throw invalid("refusing to create an ambiguous tag using digest algorithm as name");
  return name;
}
