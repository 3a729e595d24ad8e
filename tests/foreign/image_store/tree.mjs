// File trees: one whole tree for each chain of layers. It is its parent's tree, linked file by file, with the layer on top;
// so whiteouts and opaque marks are deletions, and an overlay needs one lower directory however many layers there are.
import fs from "node:fs";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { FileSource, entries } from "./tar.mjs";

const MOST_LINKS = 40;
const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";

const state = (file) => fs.lstatSync(file, { throwIfNoEntry: false });
const remove = (file) => fs.rmSync(file, { recursive: true, force: true });

export function sameLooks(from, to) {
  const look = fs.lstatSync(from);
  fs.lchownSync(to, look.uid, look.gid);
  fs.chmodSync(to, look.mode & 0o7777);
  fs.utimesSync(to, look.atimeMs / 1000, look.mtimeMs / 1000);
}

// A copy whose files are hard links: nothing writes into a file of a tree.
export function clone(from, to) {
  fs.mkdirSync(to);
  for (const each of fs.readdirSync(from, { withFileTypes: true })) {
    const [source, copy] = [path.join(from, each.name), path.join(to, each.name)];
    if (each.isDirectory()) clone(source, copy);
    else fs.linkSync(source, copy);
  }
  sameLooks(from, to);
}

function parts(name, what) {
  const found = name.split("/").filter((part) => part && part !== ".");
  if (found.includes("..") || name.includes("\0")) throw new Error(`${what} leads out of the root: ${name}`);
  return found;
}

// Unpacks one layer. Only this process writes below `root`, so what was looked at stays as it was.
export class Layer {
  constructor(root, most) {
    Object.assign(this, { root, most, made: new Set(), directories: new Map() });
  }

  async apply(file) {
    const handle = await fs.promises.open(file);
    try {
      let count = 0;
      for await (const entry of entries(new FileSource(handle))) {
        if (++count > this.most) throw new Error(`more than ${this.most} entries`);
        await this.#entry(entry, (await handle.stat()).size);
      }
    } finally {
      await handle.close();
    }
    for (const [each, mtime] of this.directories) if (state(each)?.isDirectory()) fs.utimesSync(each, mtime, mtime);
  }

  async #entry(entry, fileSize) {
    const names = parts(entry.name, "a name");
    if (!names.length) return entry.kind === "directory" ? this.#looks(this.root, entry) : undefined;
    const base = names.at(-1), parent = this.#parent(names);
    if (base === OPAQUE) return this.#empty(parent);
    if (base.startsWith(WHITEOUT)) return this.#whiteout(parent, base.slice(WHITEOUT.length), entry.name);
    if (entry.kind === "file" && entry.offset + entry.size > fileSize) throw new Error(`unexpected end in ${entry.name}`);
    await this.#make(path.join(parent, base), entry);
  }

  // The real directory that holds the last of `names`: links are followed within the root, missing directories made.
  #parent(names) {
    const waiting = names.slice(0, -1).map((name) => ({ name, linked: false })), real = [];
    for (let links = 0; waiting.length; ) {
      const { name, linked } = waiting.shift();
      if (name === "..") {
        real.pop();
        continue;
      }
      const here = path.join(this.root, ...real, name), found = state(here);
      if (found?.isSymbolicLink()) {
        if (++links > MOST_LINKS) throw new Error(`too many links: ${names.join("/")}`);
        const goal = fs.readlinkSync(here);
        if (goal.startsWith("/")) real.length = 0;
        waiting.unshift(...goal.split("/").filter((part) => part && part !== ".").map((part) => ({ name: part, linked: true })));
        continue;
      }
      if (!found && linked) throw new Error(`a link that leads nowhere: ${names.join("/")}`);
      if (found && !found.isDirectory()) throw new Error(`not a directory: ${names.join("/")}`);
      if (!found) fs.mkdirSync(here, 0o755);
      if (!found) this.made.add(here);
      real.push(name);
    }
    return path.join(this.root, ...real);
  }

  #whiteout(parent, name, whole) {
    if (name.startsWith(".wh.")) return; // marks of AUFS, which Docker passes over
    if (["", ".", ".."].includes(name)) throw new Error(`a whiteout of nothing: ${whole}`);
    const goal = path.join(parent, name);
    if (!this.made.has(goal)) remove(goal);
  }

  // What layers below put there goes; what this one put there stays.
  #empty(directory) {
    for (const name of fs.readdirSync(directory)) {
      const goal = path.join(directory, name);
      if (!this.made.has(goal)) remove(goal);
      else if (state(goal).isDirectory()) this.#empty(goal);
    }
  }

  async #make(goal, entry) {
    const found = state(goal);
    if (found && !(found.isDirectory() && entry.kind === "directory")) remove(goal);
    this.made.add(goal);
    if (entry.kind === "hardlink") return fs.linkSync(this.#linked(entry), goal);
    if (entry.kind === "symlink") {
      fs.symlinkSync(entry.link, goal);
      fs.lchownSync(goal, entry.uid, entry.gid);
      return fs.lutimesSync(goal, entry.mtime, entry.mtime);
    }
    if (entry.kind === "file") await this.#file(goal, entry);
    else if (entry.kind === "directory") state(goal) ?? fs.mkdirSync(goal);
    else this.#node(goal, entry);
    this.#looks(goal, entry);
  }

  #linked(entry) {
    const names = parts(entry.link, "a hard link");
    const goal = path.join(this.#parent(names), names.at(-1) ?? ".");
    if (!state(goal) || state(goal).isDirectory()) throw new Error(`a hard link to nothing: ${entry.name} -> ${entry.link}`);
    return goal;
  }

  async #file(goal, entry) {
    const file = await fs.promises.open(goal, "wx", 0o600);
    try {
      for await (const piece of entry.data()) await file.writeFile(piece);
    } finally {
      await file.close();
    }
  }

  // Node.js has no mknod(2).
  #node(goal, { kind, major, minor, name }) {
    const device = kind === "fifo" ? ["p"] : [kind === "block" ? "b" : "c", String(major), String(minor)];
    const done = spawnSync("mknod", ["--", goal, ...device], { encoding: "utf8" });
    if (done.status !== 0) throw new Error(`${name}: ${done.stderr || done.error}`);
  }

  #looks(goal, entry) {
    fs.lchownSync(goal, entry.uid, entry.gid);
    fs.chmodSync(goal, entry.mode);
    fs.utimesSync(goal, entry.mtime, entry.mtime);
    if (entry.kind === "directory") this.directories.set(goal, entry.mtime);
  }
}

// Every path below, sorted as a walk goes: a directory before what is in it.
export function* walk(root, below = "") {
  for (const each of fs.readdirSync(path.join(root, below), { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = path.join(below, each.name);
    yield [name, fs.lstatSync(path.join(root, name))];
    if (each.isDirectory()) yield* walk(root, name);
  }
}

// What an upper directory says: [{path, kind}], 0 modified, 1 added, 2 deleted. Its marks of deletion are the kernel's to
// read (extended attributes are beyond Node.js): in a mount namespace of its own an overlay shows what is left.
export function changes(upper, lower) {
  const script = 'mount -t overlay overlay -o "ro,lowerdir=$1:$2" "$2" && cd "$2" && find . -mindepth 1 -printf "%P\\0"';
  const options = { encoding: "utf8", maxBuffer: 1 << 30 };
  const done = spawnSync("unshare", ["--mount", "sh", "-c", script, "sh", upper, lower], options);
  if (done.status !== 0) throw new Error(`${upper} cannot be compared: ${done.stderr}`);
  const visible = new Set(done.stdout.split("\0")), found = [];
  for (const [name] of walk(upper)) {
    if (visible.has(name)) found.push({ path: name, kind: state(path.join(lower, name)) ? 0 : 1 });
  }
  for (const [name] of walk(lower)) {
    if (!visible.has(name) && (visible.has(path.dirname(name)) || path.dirname(name) === ".")) found.push({ path: name, kind: 2 });
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

export function usage(directory) {
  let bytes = 0;
  for (const [, look] of walk(directory)) if (look.isFile()) bytes += look.size;
  return bytes;
}
