// Docker's filters of image lists and of prune.
import { invalid } from "./contract.mjs";
import { parse } from "./names.mjs";

const LISTED = ["dangling", "label", "before", "since", "reference", "until"];
const PRUNED = ["dangling", "label", "label!", "until"];
const UNITS = { h: 3.6e12, m: 6e10, s: 1e9, ms: 1e6 };

function truth(value, name) {
  if (["1", "t", "true", "T", "TRUE", "True"].includes(value)) return true;
  if (["0", "f", "false", "F", "FALSE", "False"].includes(value)) return false;
  throw invalid(`invalid filter '${name}=[${value}]'`);
}

// Nanoseconds since the epoch: a duration before now, seconds, or RFC 3339.
function moment(value) {
  const terms = [...value.matchAll(/([\d.]+)(ms|h|m|s)/g)];
  if (terms.length && terms.map((each) => each[0]).join("") === value) {
    return Date.now() * 1e6 - terms.reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit], 0);
  }
  const time = /^\d+(\.\d+)?$/.test(value) ? Number(value) * 1e9 : Date.parse(value) * 1e6;
  if (Number.isNaN(time)) throw invalid(`failed to parse ${value} as time`);
  return time;
}

function labelled(image, value) {
  const at = value.indexOf("="), key = at < 0 ? value : value.slice(0, at);
  return Object.hasOwn(image.config.labels, key) && (at < 0 || image.config.labels[key] === value.slice(at + 1));
}

function globbed(pattern) {
  const text = pattern.replace(/[.+^${}()|\\]/g, "\\$&").replace(/\*/g, "[^/]*").replace(/\?/g, "[^/]");
  try {
    return new RegExp(`^${text}$`);
  } catch {
    throw invalid(`invalid filter 'reference=${pattern}'`);
  }
}

function referenced(image, patterns) {
  const names = image.repo_tags.flatMap((tag) => [tag, parse(tag).repository]);
  return patterns.some((pattern) => names.some((name) => globbed(pattern).test(name)));
}

function checked(filters, known) {
  for (const name of Object.keys(filters)) if (!known.includes(name)) throw invalid(`invalid filter '${name}'`);
}

// The images that the filters choose; `find` resolves a reference.
export function chosen(images, filters, find) {
  checked(filters, LISTED);
  const times = (name) => (filters[name] ?? []).map((each) => find(each).created_ns);
  const [before, since, until] = [times("before"), times("since"), (filters.until ?? []).map(moment)];
  const dangling = (filters.dangling ?? []).map((each) => truth(each, "dangling"));
  return images.filter((image) =>
    dangling.every((wanted) => wanted === !image.repo_tags.length) &&
    (filters.label ?? []).every((each) => labelled(image, each)) &&
    (!filters.reference || referenced(image, filters.reference)) &&
    [...before, ...until].every((time) => image.created_ns < time) && since.every((time) => image.created_ns > time));
}

export function prunable(images, filters) {
  checked(filters, PRUNED);
  const all = (filters.dangling ?? ["true"]).some((each) => !truth(each, "dangling"));
  const until = (filters.until ?? []).map(moment);
  return images.filter((image) =>
    (all || !image.repo_tags.length) &&
    until.every((time) => image.created_ns < time) &&
    (filters.label ?? []).every((each) => labelled(image, each)) &&
    !(filters["label!"] ?? []).some((each) => labelled(image, each)));
}
