// Reading and writing tar (ustar with PAX and GNU long names). What it does not know it refuses.
import { TextDecoder } from "node:util";

const BLOCK = 512;
const LONGEST_HEADER = 1 << 20;
const PIECE = 1 << 18;
const KINDS = { "\0": "file", 0: "file", 7: "file", 1: "hardlink", 2: "symlink", 3: "character", 4: "block", 5: "directory", 6: "fifo" };
const utf8 = new TextDecoder("utf-8", { fatal: true });

const bad = (message) => new Error(`invalid tar: ${message}`);

// Bytes of an open file, from its beginning on.
export class FileSource {
  constructor(handle) {
    Object.assign(this, { handle, position: 0 });
  }

  // At most `count` bytes; null at the end.
  async some(count) {
    const buffer = Buffer.alloc(Math.min(count, PIECE));
    const { bytesRead } = await this.handle.read(buffer, 0, buffer.length, this.position);
    this.position += bytesRead;
    return bytesRead ? buffer.subarray(0, bytesRead) : null;
  }

  skip(count) {
    this.position += count;
  }
}

async function exactly(source, count) {
  const pieces = [];
  for (let left = count; left > 0; ) {
    const piece = await source.some(left);
    if (!piece) {
      if (left === count) return null;
      throw bad("unexpected end");
    }
    pieces.push(piece);
    left -= piece.length;
  }
  return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
}

function text(bytes) {
  const end = bytes.indexOf(0);
  try {
    return utf8.decode(end < 0 ? bytes : bytes.subarray(0, end));
  } catch {
    throw bad("a name that is not UTF-8");
  }
}

function number(bytes) {
  if (bytes[0] & 0x80) {
    const value = bytes.subarray(1).reduce((sum, byte) => sum * 256 + byte, bytes[0] & 0x7f);
    if (!Number.isSafeInteger(value)) throw bad("a number out of range");
    return value;
  }
  const digits = bytes.toString("latin1").replace(/\0.*$/s, "").trim();
  if (!/^[0-7]*$/.test(digits)) throw bad("a number that is none");
  return parseInt(digits || "0", 8);
}

function header(block) {
  const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  if (number(block.subarray(148, 156)) !== sum) throw bad("wrong checksum");
  const field = (from, size) => block.subarray(from, from + size);
  const prefix = field(257, 6).toString("latin1") === "ustar\0" ? text(field(345, 155)) : "";
  return {
    name: (prefix ? `${prefix}/` : "") + text(field(0, 100)),
    mode: number(field(100, 8)) & 0o7777, uid: number(field(108, 8)), gid: number(field(116, 8)),
    size: number(field(124, 12)), mtime: number(field(136, 12)), type: String.fromCharCode(block[156]),
    link: text(field(157, 100)), major: number(field(329, 8)), minor: number(field(337, 8)),
  };
}

function pax(body) {
  const found = {};
  for (let at = 0; at < body.length; ) {
    const blank = body.indexOf(32, at), length = Number(body.toString("latin1", at, blank));
    const equals = body.indexOf(61, blank);
    if (blank < 0 || equals < 0 || !(length > equals - at) || at + length > body.length) throw bad("a wrong extended header");
    const key = body.toString("utf8", blank + 1, equals);
    if (!key.startsWith("SCHILY.xattr.")) found[key] = text(body.subarray(equals + 1, at + length - 1));
    at += length;
  }
  return found;
}

function completed(entry, more) {
  if (Object.keys(more).some((key) => key.startsWith("GNU.sparse"))) throw bad("sparse files are not supported");
  const whole = (key, value) => (more[key] === undefined ? value : Number(more[key]));
  const fixed = {
    ...entry, name: more.path ?? entry.name, link: more.linkpath ?? entry.link, kind: KINDS[entry.type],
    size: whole("size", entry.size), uid: whole("uid", entry.uid), gid: whole("gid", entry.gid), mtime: whole("mtime", entry.mtime),
  };
  if (!fixed.kind) throw bad(`an unknown kind of entry ${JSON.stringify(entry.type)}: ${fixed.name}`);
  if (fixed.kind !== "file") fixed.size = 0;
  for (const key of ["size", "uid", "gid"]) {
    if (!Number.isSafeInteger(fixed[key]) || fixed[key] < 0) throw bad(`${key} of ${fixed.name}`);
  }
  return fixed;
}

// The entries in order. `entry.data()` are its bytes; what is not taken of them is passed over.
export async function* entries(source) {
  let common = {}, next = {};
  for (;;) {
    const block = await exactly(source, BLOCK);
    if (!block || block.every((byte) => byte === 0)) return;
    const raw = header(block);
    if ("xgLK".includes(raw.type)) {
      if (raw.size > LONGEST_HEADER) throw bad(`an extended header of ${raw.size} bytes`);
      const body = (await exactly(source, raw.size)) ?? Buffer.alloc(0);
      if (body.length !== raw.size) throw bad("unexpected end");
      source.skip(padding(raw.size));
      if (raw.type === "g") common = { ...common, ...pax(body) };
      else Object.assign(next, raw.type === "x" ? pax(body) : { [raw.type === "L" ? "path" : "linkpath"]: text(body) });
      continue;
    }
    const entry = completed(raw, { ...common, ...next });
    next = {};
    let left = entry.size;
    entry.offset = source.position;
    entry.data = async function* () {
      while (left > 0) {
        const piece = await source.some(left);
        if (!piece) throw bad("unexpected end");
        left -= piece.length;
        yield piece;
      }
    };
    yield entry;
    source.skip(left + padding(entry.size));
  }
}

export const padding = (size) => (BLOCK - (size % BLOCK)) % BLOCK;
export const END = Buffer.alloc(2 * BLOCK);

function record(key, value) {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

function plain(fields) {
  const block = Buffer.alloc(BLOCK);
  const octal = (value, at, size) => block.write(value.toString(8).padStart(size - 1, "0"), at, "latin1");
  block.write(fields.name, 0, 100);
  octal(fields.mode ?? 0o644, 100, 8);
  octal(fields.uid ?? 0, 108, 8);
  octal(fields.gid ?? 0, 116, 8);
  octal(fields.size ?? 0, 124, 12);
  octal(Math.max(0, Math.floor(fields.mtime ?? 0)), 136, 12);
  block.write(fields.type ?? "0", 156);
  block.write(fields.link ?? "", 157, 100);
  block.write("ustar\x0000", 257, "latin1");
  octal(fields.major ?? 0, 329, 8);
  octal(fields.minor ?? 0, 337, 8);
  const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

// The header of one entry, with an extended header before it where a field does not fit.
export function head(fields) {
  const more = [], kept = { ...fields };
  const move = (key, field, fits, value) => {
    if (fits) return;
    more.push(record(key, fields[field]));
    kept[field] = value;
  };
  move("path", "name", Buffer.byteLength(fields.name) <= 100, "long");
  move("linkpath", "link", Buffer.byteLength(fields.link ?? "") <= 100, "long");
  move("size", "size", (fields.size ?? 0) < 8 ** 11, 0);
  for (const id of ["uid", "gid"]) move(id, id, (fields[id] ?? 0) < 8 ** 7, 0);
  if (!more.length) return plain(kept);
  const body = Buffer.from(more.join(""));
  return Buffer.concat([plain({ name: "extended", type: "x", size: body.length }), body, Buffer.alloc(padding(body.length)), plain(kept)]);
}
