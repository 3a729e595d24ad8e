// Writable layers: `snapshots/<key>/{upper,work,image}`, on the tree of an image, which stays as long as they do.
import fs from "node:fs";
import path from "node:path";
import { invalid, notFound } from "./contract.mjs";
import { write } from "./content.mjs";
import { changes, sameLooks, usage } from "./tree.mjs";
import { END, head, padding } from "./tar.mjs";
import { token } from "./nats.mjs";
import { createHash } from "node:crypto";

export class Snapshots {
  constructor(content) {
    this.content = content;
    this.folder = content.place("snapshots");
  }

  keys() {
    return fs.readdirSync(this.folder);
  }

  #has(key) {
    return /^[A-Za-z0-9][\w.-]*$/.test(key) && fs.existsSync(path.join(this.folder, key));
  }

  image(key) {
    if (!this.#has(key)) throw notFound(`no snapshot ${key}`);
    return JSON.parse(fs.readFileSync(path.join(this.folder, key, "image")));
  }

  async prepare(key, image) {
    if (!/^[A-Za-z0-9][\w.-]*$/.test(key)) throw invalid(`invalid snapshot key ${JSON.stringify(key)}`);
    if (this.#has(key) && this.image(key).id === image.id) return this.find(key);
    const tree = await this.content.tree(image.diff_ids), fresh = this.content.place("ingest", token());
    for (const each of ["", "upper", "work"]) fs.mkdirSync(path.join(fresh, each));
    sameLooks(tree, path.join(fresh, "upper"));
    write(path.join(fresh, "image"), JSON.stringify(image));
    this.release(key);
    fs.renameSync(fresh, path.join(this.folder, key));
    return this.find(key);
  }

  async find(key) {
    const image = this.image(key), home = path.join(this.folder, key), upper = path.join(home, "upper");
    const lower = `${await this.content.tree(image.diff_ids)}:${this.content.place("init")}`;
    const options = [`lowerdir=${lower}`, `upperdir=${upper}`, `workdir=${path.join(home, "work")}`];
    return { key, image, mounts: [{ type: "overlay", source: "overlay", options }], upper };
  }

  release(key) {
    if (this.#has(key)) this.content.discard(path.join(this.folder, key));
  }

  usage(key) {
    return usage(path.join(this.folder, key, "upper"));
  }

  async changes(key) {
    const tree = await this.content.tree(this.image(key).diff_ids);
    return changes(path.join(this.folder, key, "upper"), tree);
  }

  // The writable layer as an archive in `ingest`; null when it says nothing.
  async pack(key) {
    const found = await this.changes(key);
    if (!found.length) return null;
    const file = this.content.place("ingest", token()), hash = createHash("sha256");
    const handle = await fs.promises.open(file, "wx");
    const put = (data) => hash.update(data) && handle.writeFile(data);
    for (const each of found) for await (const piece of packed(path.join(this.folder, key, "upper"), each)) await put(piece);
    await put(END);
    await handle.sync();
    await handle.close();
    return { file, digest: `sha256:${hash.digest("hex")}` };
  }
}

const TYPES = { isFile: "0", isSymbolicLink: "2", isCharacterDevice: "3", isBlockDevice: "4", isDirectory: "5", isFIFO: "6" };

async function* packed(upper, { path: name, kind }) {
  if (kind === 2) return yield head({ name: path.join(path.dirname(name), `.wh.${path.basename(name)}`) });
  const file = path.join(upper, name), look = fs.lstatSync(file);
  const type = Object.entries(TYPES).find(([is]) => look[is]())?.[1];
  if (!type) return; // a socket
  const fields = { mode: look.mode & 0o7777, uid: look.uid, gid: look.gid, mtime: look.mtimeMs / 1000, type };
  const device = "34".includes(type) ? { major: (look.rdev >> 8) & 0xfff, minor: (look.rdev & 0xff) | ((look.rdev >> 12) & 0xfff00) } : {};
  const link = type === "2" ? fs.readlinkSync(file) : "";
  if (type !== "0") return yield head({ ...fields, ...device, link, name: type === "5" ? `${name}/` : name });
  yield head({ ...fields, name, size: look.size });
  let left = look.size; // a file that grows meanwhile is as it was; one that shrinks ends in zeros
  if (left) for await (const piece of fs.createReadStream(file, { end: look.size - 1 })) {
    left -= piece.length;
    yield piece;
  }
  yield Buffer.alloc(left + padding(look.size));
}
