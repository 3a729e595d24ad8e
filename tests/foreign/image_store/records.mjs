// The names of this node's images: records `references.<node>.<full reference>` in the key-value bucket `shoal`.
// Each value is an envelope {schema, written_by, at, object}; each write expects the revision that it replaces.
import { token } from "./nats.mjs";
import { ServiceError, conflict } from "./contract.mjs";

const BUCKET = "shoal";
const MARKER_TTL = "300s";
const WRONG_SEQUENCE = [10071, 10164];

// One token of a subject: bytes that no token may hold become `=XX`.
const escaped = (part) =>
  [...Buffer.from(part)]
    .map((byte) => (/[-/_a-zA-Z0-9]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : hex(byte)))
    .join("");
const hex = (byte) => `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;

export class Records {
  constructor(nats, writer, node) {
    Object.assign(this, { nats, writer, prefix: `$KV.${BUCKET}.references.${escaped(node)}.` });
    this.revisions = new Map(); // subject -> revision of the last message, also of a removal
    this.names = new Map(); // full reference -> record
  }

  // Reads what is there, by a consumer of the bucket's stream.
  async open() {
    const name = token().slice(0, 12), deliver = `${this.nats.inbox}.w.${name}`;
    let wanted = Infinity, seen = 0, finish;
    const complete = new Promise((done) => (finish = done));
    const forget = this.nats.subscribe(deliver, (message) => {
      this.#take(message);
      if (++seen >= wanted) finish();
    });
    const config = {
      name, deliver_subject: deliver, filter_subject: `${this.prefix}*`, deliver_policy: "last_per_subject",
      ack_policy: "none", max_deliver: 1, mem_storage: true, num_replicas: 1, inactive_threshold: 60e9,
    };
    const body = { stream_name: `KV_${BUCKET}`, config };
    const answer = await this.nats.request(`$JS.API.CONSUMER.CREATE.KV_${BUCKET}.${name}`, Buffer.from(JSON.stringify(body)));
    const reply = JSON.parse(answer.data);
    if (reply.error) throw new Error(`references not read: ${reply.error.description}`);
    wanted = reply.num_pending + reply.delivered.consumer_seq;
    if (seen < wanted) await complete;
    forget();
  }

  #take({ subject, headers, data, reply }) {
    const fields = reply.split("."); // $JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<delivered>.<revision>...
    this.revisions.set(subject, Number(fields[fields.length >= 11 ? 7 : 5]));
    if (headers["KV-Operation"] || headers["Nats-Marker-Reason"]) return;
    const record = JSON.parse(data).object;
    this.names.set(record.reference, record);
  }

  of(imageId) {
    return [...this.names.values()].filter((each) => each.image_id === imageId).map((each) => each.reference);
  }

  async put(reference, imageId) {
    const record = { reference, image_id: imageId, tagged: Date.now() * 1e6 };
    const value = { schema: 1, written_by: this.writer, at: Date.now() * 1e6, object: record };
    await this.#write(reference, Buffer.from(JSON.stringify(value)), {});
    this.names.set(reference, record);
    this.changed?.();
  }

  async delete(reference) {
    const headers = { "KV-Operation": "PURGE", "Nats-Rollup": "sub", "Nats-TTL": MARKER_TTL };
    await this.#write(reference, Buffer.alloc(0), headers);
    this.names.delete(reference);
    this.changed?.();
  }

  async #write(reference, data, headers) {
    const subject = this.prefix + escaped(reference);
    const expected = { "Nats-Expected-Last-Subject-Sequence": String(this.revisions.get(subject) ?? 0), "Nats-Msg-Id": token() };
    let ack = await this.#publish(subject, data, { ...headers, ...expected });
    if (WRONG_SEQUENCE.includes(ack.error?.err_code) && (await this.#refresh(subject))) {
      const revision = String(this.revisions.get(subject));
      ack = await this.#publish(subject, data, { ...headers, ...expected, "Nats-Expected-Last-Subject-Sequence": revision });
    }
    if (WRONG_SEQUENCE.includes(ack.error?.err_code)) throw conflict(`${reference} was changed by somebody else`);
    if (ack.error) throw new ServiceError("unavailable", `${reference} not written: ${ack.error.description}`);
    this.revisions.set(subject, ack.seq);
  }

  async #publish(subject, data, headers) {
    return JSON.parse((await this.nats.request(subject, data, headers)).data);
  }

  // The revision as it is now: a marker of a removal goes by itself after its time. True: it differs from what was known.
  async #refresh(subject) {
    const found = await this.nats.request(`$JS.API.DIRECT.GET.KV_${BUCKET}.${subject}`, Buffer.alloc(0));
    const now = found.headers.Status === "404" ? 0 : Number(found.headers["Nats-Sequence"]);
    const changed = now !== (this.revisions.get(subject) ?? 0);
    this.revisions.set(subject, now);
    return changed;
  }
}
