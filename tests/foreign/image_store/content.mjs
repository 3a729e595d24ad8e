// The folder: `images/<id>` (configurations), `layers/<diff id>` (plain archives), `trees/<chain id>` (unpacked),
// `parents/<id>`, `manifests/<digest>` (of images here, made or as they came), and `ingest` (what is being taken in). Files are written there, synced, and renamed into place.
import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { pipeline } from "node:stream";
import { token } from "./nats.mjs";
import { chainIds, digestOf, hexOf, manifestOf, manifested, withSizes } from "./image.mjs";
import { Layer, clone } from "./tree.mjs";

const BOOT_ID = "/proc/sys/kernel/random/boot_id";
const INIT = {
  folders: ["", "dev", "dev/pts", "dev/shm", "etc", "proc", "sys"],
  files: [".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf"],
};

// The bytes without their compression, which is recognised by its first bytes.
export async function* inflated(chunks) {
  const source = chunks[Symbol.asyncIterator]();
  let first = Buffer.alloc(0);
  while (first.length < 4) {
    const { done, value } = await source.next();
    if (done) break;
    first = Buffer.concat([first, value]);
  }
  const whole = (async function* () {
    if (first.length) yield first;
    yield* { [Symbol.asyncIterator]: () => source };
  })();
  const magic = first.toString("hex", 0, 4);
  if (magic.startsWith("1f8b")) yield* through(whole, zlib.createGunzip());
  else if (magic === "28b52ffd") yield* unzstd(whole);
  else if (magic.startsWith("425a68") || magic === "fd377a58") throw new Error("bzip2 and xz are not supported");
  else yield* whole;
}

async function* through(chunks, filter) {
  pipeline(chunks, filter, () => {}); // an error of either ends the loop below
  for await (const chunk of filter) yield chunk;
}

// Node.js has zstd since 22.15, Debian 12 and 13 have older ones.
async function* unzstd(chunks) {
  const child = spawn("zstd", ["-dcq"], { stdio: ["pipe", "pipe", "ignore"] });
  const ended = new Promise((done) => child.on("close", done).on("error", done));
  pipeline(chunks, child.stdin, () => {});
  try {
    for await (const chunk of child.stdout) yield chunk;
    const code = await ended;
    if (code !== 0) throw new Error(`zstd: ${code.message ?? `exit code ${code}`}`);
  } finally {
    child.kill();
  }
}

export class Content {
  constructor(root, images, limits) {
    Object.assign(this, { root, translate: images, limits, images: new Map(), parents: new Map() });
  }

  place(kind, name = "") {
    return path.join(this.root, kind, hexOf(name));
  }

  open() {
    for (const kind of ["images", "layers", "trees", "parents", "manifests", "snapshots", "ingest"]) fs.mkdirSync(this.place(kind), { recursive: true });
    this.#afterBoot();
    for (const each of fs.readdirSync(this.place("ingest"))) fs.rmSync(this.place("ingest", each), { recursive: true });
    for (const hex of fs.readdirSync(this.place("images"))) this.#know(fs.readFileSync(this.place("images", hex)));
    for (const hex of fs.readdirSync(this.place("parents"))) {
      if (this.images.has(`sha256:${hex}`)) this.parents.set(`sha256:${hex}`, fs.readFileSync(this.place("parents", hex), "utf8"));
    }
    for (const each of INIT.folders) fs.mkdirSync(path.join(this.place("init"), each), { recursive: true, mode: 0o755 });
    for (const each of INIT.files) fs.closeSync(fs.openSync(path.join(this.place("init"), each), "a", 0o755));
  }

  // Trees are not synced: after another boot they are made anew, from their layers.
  #afterBoot() {
    const file = path.join(this.root, "boot"), now = fs.readFileSync(BOOT_ID, "utf8");
    if (fs.existsSync(file) && fs.readFileSync(file, "utf8") === now) return;
    fs.rmSync(this.place("trees"), { recursive: true });
    fs.mkdirSync(this.place("trees"));
    fs.writeFileSync(file, now);
  }

  #know(document) {
    const image = this.translate.parse(document);
    const sizes = image.diff_ids.map((each) => fs.statSync(this.place("layers", each)).size);
    const manifest = manifested(image.id, document.length, image.diff_ids.map((digest, at) => ({ digest, size: sizes[at] })));
    const descriptor = { media_type: JSON.parse(manifest).mediaType, digest: this.describe(manifest), size: manifest.length, annotations: {} };
    this.images.set(image.id, { ...withSizes(image, sizes), descriptor });
    this.changed?.();
    return image.id;
  }

  // A file of what comes, uncompressed; {file, size, digest}.
  async spool(chunks) {
    const file = this.place("ingest", token()), hash = createHash("sha256");
    const handle = await fs.promises.open(file, "wx");
    let size = 0;
    try {
      for await (const chunk of inflated(chunks)) {
        if ((size += chunk.length) > this.limits.bytes) throw new Error(`more than ${this.limits.bytes} bytes`);
        hash.update(chunk);
        await handle.writeFile(chunk);
      }
      await handle.sync();
    } catch (error) {
      fs.rmSync(file);
      throw error;
    } finally {
      await handle.close();
    }
    return { file, size, digest: `sha256:${hash.digest("hex")}` };
  }

  // A spooled archive becomes a layer.
  adopt({ file, digest }, expected = digest) {
    if (digest !== expected) {
      fs.rmSync(file);
      throw new Error(`wrong diff id calculated on extraction: ${digest} instead of ${expected}`);
    }
    fs.renameSync(file, this.place("layers", digest));
    sync(this.place("layers"));
  }

  has(diffId) {
    return fs.existsSync(this.place("layers", diffId));
  }

  // The tree of these layers, made if it is not there.
  async tree(diffIds) {
    const chain = chainIds(diffIds);
    let below = "";
    for (const [at, diffId] of diffIds.entries()) {
      const goal = this.place("trees", chain[at]);
      if (!fs.existsSync(goal)) await this.#unpack(below, diffId, goal);
      below = goal;
    }
    return below || this.#nothing();
  }

  #nothing() {
    const goal = this.place("trees", "nothing");
    fs.mkdirSync(goal, { recursive: true, mode: 0o755 });
    return goal;
  }

  async #unpack(below, diffId, goal) {
    const fresh = this.place("ingest", token());
    try {
      if (below) clone(below, fresh);
      else fs.mkdirSync(fresh, 0o755);
      await new Layer(fresh, this.limits.entries).apply(this.place("layers", diffId));
      fs.renameSync(fresh, goal);
    } catch (error) {
      fs.rmSync(fresh, { recursive: true, force: true });
      throw error;
    }
  }

  // Durable when it returns; its layers have to be there.
  add(document, parent = "") {
    const id = digestOf(document);
    if (parent) write(this.place("parents", id), parent);
    if (parent) this.parents.set(id, parent);
    write(this.place("images", id), document);
    return this.#know(document);
  }

  // Keeps a manifest of an image that is here; its digest.
  describe(manifest) {
    const digest = digestOf(manifest), file = this.place("manifests", digest);
    if (!fs.existsSync(file)) write(file, manifest);
    return digest;
  }

  // The id of the image here that a manifest describes, or "".
  described(digest) {
    const file = this.place("manifests", digest), id = fs.existsSync(file) ? manifestOf(fs.readFileSync(file)).config.digest : "";
    return this.images.has(id) ? id : "";
  }

  drop(id) {
    for (const hex of fs.readdirSync(this.place("manifests"))) {
      if (this.described(`sha256:${hex}`) === id) fs.rmSync(this.place("manifests", hex));
    }
    this.images.delete(id);
    this.changed?.();
    this.parents.delete(id);
    fs.rmSync(this.place("parents", id), { force: true });
    fs.rmSync(this.place("images", id));
  }

  document(id) {
    return fs.readFileSync(this.place("images", id));
  }

  // Removes layers and trees that neither an image nor one of `chains` (lists of diff ids) stands on; bytes of the layers.
  sweep(chains) {
    const used = [...[...this.images.values()].map((image) => image.diff_ids), ...chains];
    const layers = new Set(used.flat().map(hexOf)), trees = new Set(used.flatMap(chainIds).map(hexOf));
    let freed = 0;
    for (const hex of fs.readdirSync(this.place("layers"))) {
      if (layers.has(hex)) continue;
      freed += fs.statSync(this.place("layers", hex)).size;
      fs.rmSync(this.place("layers", hex));
    }
    for (const hex of fs.readdirSync(this.place("trees"))) {
      if (!trees.has(hex) && hex !== "nothing") this.discard(this.place("trees", hex));
    }
    return freed;
  }

  // Removes a folder: whenever this process is killed, it is there whole or not at all.
  discard(folder) {
    const aside = this.place("ingest", token());
    fs.renameSync(folder, aside);
    fs.rmSync(aside, { recursive: true });
  }
}

function sync(file) {
  const handle = fs.openSync(file, "r");
  fs.fsyncSync(handle);
  fs.closeSync(handle);
}

export function write(file, data) {
  const fresh = `${file}.new`;
  fs.writeFileSync(fresh, data);
  sync(fresh);
  fs.renameSync(fresh, file);
  sync(path.dirname(file));
}
