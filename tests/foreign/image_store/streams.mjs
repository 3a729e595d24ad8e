// Live streams: one unix socket; who connects sends a ticket of 32 bytes, then the offered stream begins.
import net from "node:net";
import { chmodSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { once } from "node:events";
import { token } from "./nats.mjs";

const TICKET_BYTES = 32;
const OFFER_MS = 30_000;
const LINGER_MS = 10_000;

export class Streams {
  constructor(path) {
    this.path = path;
    this.offers = new Map();
  }

  async open() {
    const fresh = `${this.path}.${process.pid}`;
    mkdirSync(dirname(this.path), { recursive: true, mode: 0o710 });
    rmSync(fresh, { force: true });
    this.server = net.createServer({ allowHalfOpen: true }, (socket) => this.#taken(socket));
    this.server.listen(fresh);
    await once(this.server, "listening");
    chmodSync(fresh, 0o600);
    renameSync(fresh, this.path); // in one step: callers never see a name that nobody listens on
  }

  // `serve({incoming, write})` runs once, when the stream is taken; if it is not, `expired` is called.
  offer(serve, expired = () => {}) {
    const ticket = token();
    const timer = setTimeout(() => this.offers.delete(ticket) && expired(), OFFER_MS);
    this.offers.set(ticket, { serve, timer });
    return { path: this.path, ticket, framed: false };
  }

  async #taken(socket) {
    socket.on("error", () => socket.destroy());
    try {
      const first = await begin(socket);
      const offer = this.offers.get(first?.toString("latin1"));
      if (!offer) return socket.destroy();
      this.offers.delete(first.toString("latin1"));
      clearTimeout(offer.timer);
      await offer.serve({ incoming: socket.iterator({ destroyOnReturn: false }), write: (data) => write(socket, data) });
      socket.end();
      socket.resume(); // what still comes is nobody's, but closing over it would lose the answer
      setTimeout(() => socket.destroy(), LINGER_MS).unref();
    } catch (error) {
      console.error(`stream broken off: ${error.message}`);
      socket.destroy();
    }
  }

  close() {
    this.server.close();
    for (const { timer } of this.offers.values()) clearTimeout(timer);
    rmSync(this.path, { force: true });
  }
}

async function begin(socket) {
  for (;;) {
    const ticket = socket.read(TICKET_BYTES);
    if (ticket) return ticket.length === TICKET_BYTES ? ticket : null;
    if (socket.readableEnded || socket.destroyed) return null;
    await Promise.race([once(socket, "readable"), once(socket, "end")]);
  }
}

async function write(socket, data) {
  if (socket.destroyed) throw new Error("its taker is gone");
  if (socket.write(data)) return;
  const heard = new AbortController(), { signal } = heard;
  await Promise.race([once(socket, "drain", { signal }), once(socket, "close", { signal })]).finally(() => heard.abort());
}
