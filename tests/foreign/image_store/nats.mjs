// A client of NATS: the protocol over one TCP connection, nkey authentication, headers, requests.
import net from "node:net";
import { createPrivateKey, createPublicKey, randomBytes, sign } from "node:crypto";
import { readFileSync } from "node:fs";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const PKCS8_ED25519 = Buffer.from("302e020100300506032b657004220420", "hex");
const USER_PREFIX = 20 << 3;
const RETRY_MS = 100;

export const token = () => randomBytes(16).toString("hex");

function fromBase32(text) {
  const bytes = [];
  let bits = 0, held = 0;
  for (const letter of text) {
    held = ((held << 5) | ALPHABET.indexOf(letter)) & 0xfff;
    bits += 5;
    if (bits >= 8) bytes.push((held >> (bits -= 8)) & 0xff);
  }
  return Buffer.from(bytes);
}

function toBase32(bytes) {
  let text = "", bits = 0, held = 0;
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xfff;
    for (bits += 8; bits >= 5; ) text += ALPHABET[(held >> (bits -= 5)) & 31];
  }
  return bits ? text + ALPHABET[(held << (5 - bits)) & 31] : text;
}

function crc16(bytes) {
  let sum = 0;
  for (const byte of bytes) {
    sum ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) sum = ((sum << 1) ^ (sum & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return Buffer.from([sum & 0xff, sum >> 8]);
}

// A seed (`SU...`) holds two bytes of prefix, the 32 bytes of the key, two of a checksum.
export function identity(seed) {
  const raw = fromBase32(seed.trim()).subarray(2, 34);
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, raw]), format: "der", type: "pkcs8" });
  const open = Buffer.from(createPublicKey(key).export({ format: "jwk" }).x, "base64url");
  const named = Buffer.concat([Buffer.from([USER_PREFIX]), open]);
  return {
    nkey: toBase32(Buffer.concat([named, crc16(named)])),
    sign: (nonce) => sign(null, Buffer.from(nonce), key).toString("base64url"),
  };
}

function headersOf(block) {
  const [first, ...lines] = block.toString().split("\r\n");
  const headers = {};
  if (first.length > 8) headers.Status = first.slice(9).split(" ")[0];
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon > 0) headers[line.slice(0, colon)] = line.slice(colon + 1).trim();
  }
  return headers;
}

export class Nats {
  // Stays connected: after a break it connects and subscribes again; requests under way fail.
  constructor(url, name, seedFile) {
    const { hostname, port } = new URL(url);
    Object.assign(this, { host: hostname, port: Number(port || 4222), name, maxPayload: 1 << 20, closed: false });
    this.identity = seedFile ? identity(readFileSync(seedFile, "latin1")) : null;
    this.inbox = `_INBOX_${name}.${token()}`;
    this.subscriptions = new Map();
    this.waiting = new Map();
    this.flushes = [];
    this.subscribe(`${this.inbox}.r.*`, (message) => this.waiting.get(message.subject)?.(message));
  }

  connect() {
    return new Promise((ready) => this.#dial(ready));
  }

  #dial(ready) {
    this.held = Buffer.alloc(0);
    this.up = false;
    this.socket = net.connect(this.port, this.host);
    this.socket.setNoDelay(true);
    this.socket.on("data", (data) => this.#received(data, ready));
    this.socket.on("error", (error) => console.error(`broker connection: ${error.message}`));
    this.socket.on("close", () => {
      for (const answer of this.waiting.values()) answer(null);
      for (const done of this.flushes.splice(0)) done();
      if (!this.closed) setTimeout(() => this.#dial(ready), RETRY_MS);
    });
  }

  #received(data, ready) {
    this.held = this.held.length ? Buffer.concat([this.held, data]) : data;
    for (;;) {
      const end = this.held.indexOf("\r\n");
      if (end < 0) return;
      const words = this.held.toString("latin1", 0, end).split(" ");
      const verb = words[0].toUpperCase();
      if (verb === "MSG" || verb === "HMSG") {
        const total = Number(words.at(-1)), after = end + 2 + total + 2;
        if (this.held.length < after) return;
        this.#message(words, verb === "HMSG", this.held.subarray(end + 2, end + 2 + total));
        this.held = this.held.subarray(after);
        continue;
      }
      const rest = this.held.toString("utf8", verb.length + 1, end);
      this.held = this.held.subarray(end + 2);
      this.#told(verb, rest, ready);
    }
  }

  #told(verb, rest, ready) {
    if (verb === "PING") this.socket.write("PONG\r\n");
    if (verb === "PONG") this.flushes.shift()?.();
    if (verb === "-ERR") console.error(`broker: ${rest}`);
    if (verb !== "INFO" || this.up) return;
    const info = JSON.parse(rest);
    const who = this.identity && { nkey: this.identity.nkey, sig: this.identity.sign(info.nonce) };
    const options = { verbose: false, headers: true, no_responders: true, protocol: 1, lang: "node", version: "1" };
    this.maxPayload = info.max_payload;
    this.up = true;
    this.socket.write(`CONNECT ${JSON.stringify({ ...options, name: this.name, ...who })}\r\n`);
    for (const [sid, one] of this.subscriptions) this.socket.write(`SUB ${one.subject} ${one.queue} ${sid}\r\n`);
    this.flush().then(ready);
  }

  #message(words, hasHeaders, body) {
    const [, subject, sid] = words;
    const headerBytes = hasHeaders ? Number(words.at(-2)) : 0;
    const reply = words.length > (hasHeaders ? 5 : 4) ? words[3] : "";
    const headers = hasHeaders ? headersOf(body.subarray(0, headerBytes)) : {};
    this.subscriptions.get(sid)?.receive({ subject, reply, headers, data: Buffer.from(body.subarray(headerBytes)) });
  }

  subscribe(subject, receive, queue = "") {
    const sid = String(++Nats.last);
    this.subscriptions.set(sid, { subject, receive, queue });
    if (this.up) this.socket.write(`SUB ${subject} ${queue} ${sid}\r\n`);
    return () => this.subscriptions.delete(sid) && this.socket.write(`UNSUB ${sid}\r\n`);
  }

  publish(subject, data, headers = {}, reply = "") {
    const lines = Object.entries(headers).map(([key, value]) => `${key}: ${value}\r\n`).join("");
    const head = lines ? Buffer.from(`NATS/1.0\r\n${lines}\r\n`) : Buffer.alloc(0);
    const sizes = lines ? `${head.length} ${head.length + data.length}` : `${data.length}`;
    const line = Buffer.from(`${lines ? "HPUB" : "PUB"} ${subject} ${reply} ${sizes}\r\n`);
    this.socket.write(Buffer.concat([line, head, data, Buffer.from("\r\n")]));
  }

  // The first answer; throws when nobody serves the subject, the connection breaks, or after ten seconds.
  request(subject, data, headers = {}) {
    const reply = `${this.inbox}.r.${token()}`;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.waiting.get(reply)?.(null), 10_000);
      this.waiting.set(reply, (message) => {
        clearTimeout(timer);
        this.waiting.delete(reply);
        if (message && message.headers.Status !== "503") resolve(message);
        else reject(new Error(`no answer from ${subject}`));
      });
      this.publish(subject, data, headers, reply);
    });
  }

  // Returns when the broker has seen all that was sent before.
  flush() {
    return new Promise((done) => {
      this.flushes.push(done);
      this.socket.write("PING\r\n");
    });
  }

  close() {
    this.closed = true;
    this.socket.end();
  }
}
Nats.last = 0;
