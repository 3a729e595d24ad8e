// Archives as `docker load` takes and `docker save` writes them: Docker's manifest.json, or an OCI image layout.
import fs from "node:fs";
import path from "node:path";
import { parse } from "./names.mjs";
import { digestOf, hexOf } from "./image.mjs";
import { END, FileSource, entries, head, padding } from "./tar.mjs";

const LONGEST = 8 << 20;
const MOST_INDEXES = 3;
const BLOBS = "blobs/sha256/";
const NAME = "io.containerd.image.name";

const plain = (name) => path.posix.normalize(`/${name}`);

// Where in a spooled archive what lies.
export class Archive {
  constructor(file) {
    Object.assign(this, { file, found: new Map() });
  }

  static async read(file, most) {
    const made = new Archive(file), handle = await fs.promises.open(file);
    try {
      const { size } = await handle.stat();
      for await (const entry of entries(new FileSource(handle))) {
        if (made.found.size >= most) throw new Error(`more than ${most} entries`);
        if (entry.offset + entry.size > size) throw new Error("unexpected end of the archive");
        made.found.set(plain(entry.name), entry);
      }
    } finally {
      await handle.close();
    }
    return made;
  }

  #find(name) {
    const entry = this.found.get(plain(name));
    const goal = entry?.kind === "symlink" ? this.found.get(plain(path.posix.join(path.posix.dirname(entry.name), entry.link))) : entry;
    if (goal?.kind !== "file") throw new Error(`open ${name}: no such file in the archive`);
    return goal;
  }

  // The bytes of a layer as they are, compressed or not.
  stream(name) {
    const { offset, size } = this.#find(name);
    return size ? fs.createReadStream(this.file, { start: offset, end: offset + size - 1 }) : [];
  }

  size(name) {
    return this.#find(name).size;
  }

  document(name) {
    const { offset, size } = this.#find(name), bytes = Buffer.alloc(Math.min(size, LONGEST + 1));
    if (size > LONGEST) throw new Error(`${name} has ${size} bytes, at most ${LONGEST} are read`);
    const handle = fs.openSync(this.file);
    fs.readSync(handle, bytes, 0, size, offset);
    fs.closeSync(handle);
    if (name.startsWith(BLOBS) && hexOf(digestOf(bytes)) !== name.slice(BLOBS.length)) throw new Error(`${name} has another digest`);
    return bytes;
  }

  #json(name) {
    return JSON.parse(this.document(name));
  }

  // [{config, layers, names}]: names of files in the archive, and full references.
  images() {
    if (this.found.has("/manifest.json")) return this.#docker();
    if (this.found.has("/index.json")) return [...this.#index(this.#json("index.json"), MOST_INDEXES)];
    throw new Error("invalid archive: neither manifest.json nor index.json");
  }

  #docker() {
    const items = this.#json("manifest.json");
    if (!Array.isArray(items)) throw new Error("invalid manifest.json: no list");
    return items.map((item) => {
      const texts = [item?.Config, ...(item?.Layers ?? []), ...(item?.RepoTags ?? [])];
      if (!texts.every((each) => typeof each === "string")) throw new Error("invalid manifest.json");
      return { config: item.Config, layers: item.Layers ?? [], names: (item.RepoTags ?? []).map((each) => parse(each)) };
    });
  }

  *#index(index, depth) {
    if (!depth || !Array.isArray(index.manifests)) throw new Error("invalid index");
    for (const each of index.manifests) {
      const manifest = this.#json(blob(each));
      if (manifest.manifests) yield* this.#index(manifest, depth - 1);
      else if (manifest.config && Array.isArray(manifest.layers)) yield this.#oci(manifest, each.annotations?.[NAME]);
      else throw new Error(`invalid manifest ${each.digest}`);
    }
  }

  #oci(manifest, name) {
    return { config: blob(manifest.config), layers: manifest.layers.map(blob), names: name ? [parse(name)] : [] };
  }
}

function blob({ digest }) {
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw new Error(`invalid digest ${digest}`);
  return BLOBS + hexOf(digest);
}

const file = (name, data) => Buffer.concat([head({ name, size: data.length }), data, Buffer.alloc(padding(data.length))]);

// The archive of `images` ([{id, document, diffIds, names}]); `layer(diffId)` is the file of a layer.
export async function* saved(images, layer) {
  const written = new Set(), name = (diffId) => `${hexOf(diffId)}/layer.tar`;
  for (const each of images) {
    yield file(`${hexOf(each.id)}.json`, each.document);
    for (const diffId of each.diffIds) {
      if (written.has(diffId)) continue;
      written.add(diffId);
      const { size } = fs.statSync(layer(diffId));
      yield head({ name: name(diffId), size });
      yield* fs.createReadStream(layer(diffId));
      yield Buffer.alloc(padding(size));
    }
  }
  const manifest = images.map((each) => ({
    Config: `${hexOf(each.id)}.json`, RepoTags: each.names.length ? each.names : null, Layers: each.diffIds.map(name),
  }));
  yield file("manifest.json", Buffer.from(JSON.stringify(manifest)));
  yield END;
}
