// Blobs from the image stores of other hosts: by ranges, from all that have a blob at once, verified by their digests.
import { createHash } from "node:crypto";
import { ServiceError, invalid, notFound } from "./contract.mjs";
import { token } from "./nats.mjs";

export const PIECE = 256 * 1024;
const LANES = 2; // questions at once to each host
const AHEAD = 16 * PIECE; // bytes that may wait in memory for a piece that comes before them
const PATIENCE_MS = 3000; // within which a host has to answer to be found
const LONGEST = 8 << 20; // of a manifest or configuration

export function checked(digest, what = "digest") {
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw invalid(`${what}: not a sha256 digest: ${digest}`);
  return digest;
}

export class Peers {
  constructor(nats, contract, node) {
    Object.assign(this, { nats, contract, node, liars: new Set() });
  }

  // The hosts that are named, then all others whose store answers discovery.
  async nodes(first) {
    const inbox = `${this.nats.inbox}.p.${token()}`, found = [];
    const forget = this.nats.subscribe(inbox, ({ data }) => data.length && found.push(JSON.parse(data).metadata?.node));
    this.nats.publish(`$SRV.PING.${this.contract.name}`, Buffer.alloc(0), {}, inbox);
    await new Promise((done) => setTimeout(done, PATIENCE_MS));
    forget();
    return [...new Set([...first, ...found])].filter((each) => each && each !== this.node);
  }

  async #ask(node, operation, request) {
    const subject = this.contract.endpoints.find(({ name }) => name === operation).address.replace("{node}", node);
    const headers = { "Shoal-Request-Id": token() };
    const answer = await this.nats.request(subject, Buffer.from(JSON.stringify(request)), headers);
    const told = JSON.parse(answer.data);
    if (answer.headers["Nats-Service-Error"] !== undefined) throw new ServiceError(told.kind, told.message);
    return told;
  }

  async #holders(nodes, digest) {
    const asked = nodes.filter((node) => !this.liars.has(node)).map(async (node) => {
      const { digests } = await this.#ask(node, "holds", { digests: [digest] });
      return digests.includes(digest) ? node : null;
    });
    return (await Promise.allSettled(asked)).map(({ value }) => value).filter(Boolean);
  }

  // A blob that fits into memory.
  async small(nodes, { digest, size }) {
    if (size > LONGEST) throw invalid(`${digest} has ${size} bytes, at most ${LONGEST} are read`);
    const pieces = [];
    await this.whole(nodes, { digest, size }, async (chunks) => {
      pieces.length = 0;
      for await (const piece of chunks) pieces.push(piece);
    });
    return Buffer.concat(pieces);
  }

  // Gives the bytes of a blob, as a sequence of chunks, to `take`, and its result when they were the right ones. When
  // those of several hosts were wrong, each is asked alone.
  async whole(nodes, blob, take) {
    const holders = await this.#holders(nodes, checked(blob.digest));
    let failure = notFound(`no other image store gives ${blob.digest}`);
    for (const asked of holders.length > 1 ? [holders, ...holders.map((each) => [each])] : [holders]) {
      const hash = createHash("sha256");
      try {
        const done = await take(this.#hashed(asked, blob, hash));
        if (hash.digest("hex") === blob.digest.slice(7)) return done;
        if (asked.length === 1) this.liars.add(asked[0]);
      } catch (error) {
        failure = error instanceof ServiceError ? error : invalid(error.message); // wrong bytes may be no archive
      }
    }
    throw failure;
  }

  async *#hashed(nodes, blob, hash) {
    for await (const piece of ordered(nodes, blob.size, (node, offset, length) => this.#piece(node, blob, offset, length))) {
      hash.update(piece);
      yield piece;
    }
  }

  async #piece(node, { digest }, offset, length) {
    const data = Buffer.from((await this.#ask(node, "read", { digest, offset, length })).data, "base64");
    if (data.length !== length) throw new Error(`${node} gives ${data.length} bytes instead of ${length}`);
    return data;
  }
}

// `size` bytes in their order, whoever gives which: who fails is left, and the others give what it was asked for.
async function* ordered(nodes, size, read) {
  const waiting = new Map(), back = [], working = new Set();
  let at = 0, next = 0, left = false, changed;
  const tell = () => changed?.();
  const change = () => new Promise((done) => (changed = done));
  const wanted = () => {
    if (back.length) return back.shift();
    if (next >= Math.min(size, at + AHEAD)) return null;
    return (next += PIECE) - PIECE;
  };
  const alive = new Set(nodes);
  const lane = async (node, offset) => {
    try {
      waiting.set(offset, await read(node, offset, Math.min(PIECE, size - offset)));
    } catch {
      back.push(offset);
      alive.delete(node);
    }
  };
  try {
    while (at < size && !left) {
      for (const node of alive) {
        while ([...working].filter((each) => each.node === node).length < LANES) {
          const offset = wanted();
          if (offset === null) break;
          const work = { node };
          working.add(work);
          lane(node, offset).then(() => working.delete(work) && tell());
        }
      }
      if (!waiting.has(at)) {
        if (!alive.size && !working.size) throw notFound("nobody gives the rest");
        await change();
        continue;
      }
      const piece = waiting.get(at);
      waiting.delete(at);
      at += piece.length;
      yield piece;
    }
  } finally {
    left = true;
  }
}
