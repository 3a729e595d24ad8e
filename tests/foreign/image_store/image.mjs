// Image configurations (OCI image-spec `config.md`, with Docker's additions) and the contract's `Image`.
import { createHash } from "node:crypto";
import { invalid } from "./contract.mjs";

const MOST_LAYERS = 500;

export const digestOf = (bytes) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
export const hexOf = (digest) => digest.replace("sha256:", "");

export function chainIds(diffIds) {
  const chain = [];
  for (const each of diffIds) chain.push(chain.length ? digestOf(`${chain.at(-1)} ${each}`) : each);
  return chain;
}

export function nanoseconds(time) {
  const match = /^(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)$/.exec(time);
  const whole = match ? Date.parse(match[1] + match[3]) : NaN;
  return Number.isNaN(whole) ? 0 : Math.max(0, whole * 1e6 + Number((match[2] ?? "0").padEnd(9, "0")));
}

const pascal = (name) => name.split("_").map((word) => word[0].toUpperCase() + word.slice(1)).join("");
const words = (value) => (typeof value === "string" ? [value] : value);
const emptied = (value) => value && Object.fromEntries(Object.keys(value).map((key) => [key, {}]));

export class Images {
  // Translates between the two spellings by the contract's schema.
  constructor(contract) {
    this.contract = contract;
  }

  #snake(raw, name) {
    const schema = this.contract.schema(name), found = {};
    for (const [key, inner] of Object.entries(schema.properties)) {
      const value = raw?.[pascal(key)];
      if (value === undefined || value === null) continue;
      const nested = key === "healthcheck" ? this.#snake(value, "Healthcheck") : value;
      const list = ["cmd", "entrypoint"].includes(key) ? words(nested) : nested;
      found[key] = ["exposed_ports", "volumes"].includes(key) ? emptied(list) : list;
    }
    return this.contract.complete(found, schema);
  }

  #pascal(config, name) {
    const whole = this.contract.complete({}, this.contract.schema(name)), found = {};
    for (const [key, value] of Object.entries(config)) {
      if (value === null || JSON.stringify(value) === JSON.stringify(whole[key])) continue;
      found[pascal(key)] = key === "healthcheck" ? this.#pascal(value, "Healthcheck") : value;
    }
    return found;
  }

  // What a configuration says; sizes and names are not known here.
  parse(document) {
    let raw;
    try {
      raw = JSON.parse(document);
    } catch (error) {
      throw invalid(`invalid image JSON: ${error.message}`);
    }
    const diffIds = raw?.rootfs?.diff_ids;
    if (!Array.isArray(diffIds ?? [])) throw invalid("invalid image JSON, diff_ids is no list");
    if (!raw?.rootfs) throw invalid("invalid image JSON, no RootFS key");
    if ((diffIds ?? []).length > MOST_LAYERS) throw invalid(`invalid image: ${diffIds.length} layers`);
    for (const each of diffIds ?? []) if (!/^sha256:[0-9a-f]{64}$/.test(each)) throw invalid(`invalid diff id ${each}`);
    const image = {
      id: digestOf(document), comment: raw.comment ?? "", created: raw.created ?? "", author: raw.author ?? "",
      docker_version: raw.docker_version ?? "", config: this.#snake(raw.config, "ContainerConfig"),
      created_ns: nanoseconds(String(raw.created ?? "")), diff_ids: diffIds ?? [], chain_id: chainIds(diffIds ?? []).at(-1) ?? "",
      platform: {
        os: raw.os ?? "linux", architecture: raw.architecture ?? "", variant: raw.variant ?? "", os_version: raw["os.version"] ?? "",
      },
      history: (raw.history ?? []).map((each) => Object.fromEntries(Object.entries(each).filter(([, value]) => value !== null))),
    };
    return this.contract.complete(image, this.contract.schema("Image"));
  }

  // The document of an image made here. `more` are Docker's notes of the container it is of.
  encode(image, { container, container_config: containerConfig } = {}) {
    const { os, architecture, variant } = image.platform;
    const document = {
      architecture, os, ...(variant && { variant }), created: image.created,
      ...(image.author && { author: image.author }), ...(image.comment && { comment: image.comment }),
      config: this.#pascal(image.config, "ContainerConfig"), rootfs: { type: "layers", diff_ids: image.diff_ids },
      history: image.history.map(({ size, ...entry }) => Object.fromEntries(Object.entries(entry).filter(([, value]) => value))),
      ...(container && { container }),
      ...(containerConfig && { container_config: this.#pascal(containerConfig, "ContainerConfig") }),
    };
    return Buffer.from(JSON.stringify(document));
  }
}

const OCI = "application/vnd.oci.image";

// The manifest of an image of plain layers ([{digest, size}]): the same bytes wherever these are.
export function manifested(id, size, layers) {
  const descriptor = (kind, each) => ({ mediaType: `${OCI}.${kind}`, ...each });
  const config = descriptor("config.v1+json", { digest: id, size });
  const document = { schemaVersion: 2, mediaType: `${OCI}.manifest.v1+json`, config, layers: layers.map((each) => descriptor("layer.v1.tar", each)) };
  return Buffer.from(JSON.stringify(document));
}

// What a manifest names: {config, layers}, each {digest, size}. Throws `invalid_argument` for what is none of an image.
export function manifestOf(document) {
  let raw;
  try {
    raw = JSON.parse(document);
  } catch (error) {
    throw invalid(`invalid manifest: ${error.message}`);
  }
  const named = [raw?.config, ...(Array.isArray(raw?.layers) ? raw.layers : [null])];
  if (!named.every((each) => typeof each?.digest === "string" && Number.isInteger(each.size) && each.size >= 0)) throw invalid("no manifest of an image");
  return { config: named[0], layers: named.slice(1) };
}

// Bytes of each layer told: each entry of the history that made a layer shows that layer's.
export function withSizes(image, sizes) {
  const rest = [...sizes];
  const history = image.history.map((each) => (each.empty_layer ? each : { ...each, size: rest.shift() ?? 0 }));
  return { ...image, size: sizes.reduce((sum, size) => sum + size, 0), history };
}
