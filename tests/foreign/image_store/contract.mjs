// The published contract (AsyncAPI and JSON Schema): checks of messages, and serving its endpoints on the bus.
import { readFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { token } from "./nats.mjs";

const CODES = {
  invalid_argument: 400, not_found: 404, conflict: 409, resource_exhausted: 429, internal: 500, not_implemented: 501,
  unavailable: 503,
};
const KEPT_ANSWERS = 1000;
const TRANSIT_MS = 50;

export class ServiceError extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}
export const invalid = (message) => new ServiceError("invalid_argument", message);
export const notFound = (message) => new ServiceError("not_found", message);
export const conflict = (message) => new ServiceError("conflict", message);

export class Contract {
  constructor(file) {
    this.bytes = readFileSync(file);
    this.document = JSON.parse(this.bytes);
    this.name = this.document.info.title.split(" ")[1];
    this.endpoints = Object.entries(this.document.operations)
      .filter(([, operation]) => operation.action === "receive")
      .map(([name, operation]) => this.#endpoint(name, operation));
  }

  #endpoint(name, operation) {
    const channel = this.document.channels[name];
    const request = channel.messages.request.$ref.split("/").at(-1);
    return { name, address: channel.address, request, idempotent: operation["x-idempotent"] };
  }

  schema(name) {
    return this.document.components.schemas[name];
  }

  // The value with all defaults filled in; unknown fields are left out. Throws `invalid_argument` naming the field.
  complete(value, schema, where = "$") {
    if (schema.$ref) return this.complete(value, this.schema(schema.$ref.split("/").at(-1)), where);
    if (schema.anyOf) return this.#anyOf(value, schema, where);
    if (schema.enum && !schema.enum.includes(value)) throw invalid(`Invalid enum value ${JSON.stringify(value)} - at ${where}`);
    const fits = { array: Array.isArray, integer: Number.isInteger, null: (v) => v === null, object: isObject }[schema.type];
    if (schema.type && !(fits ? fits(value) : typeof value === schema.type)) {
      throw invalid(`Expected ${schema.type} - at \`${where}\``);
    }
    if (schema.type === "array" && schema.items) return value.map((each) => this.complete(each, schema.items, `${where}[...]`));
    if (schema.type !== "object") return value;
    return schema.properties ? this.#object(value, schema, where) : this.#map(value, schema, where);
  }

  #anyOf(value, schema, where) {
    if (value === null) return null;
    return this.complete(value, schema.anyOf.find((each) => each.type !== "null"), where);
  }

  #map(value, schema, where) {
    const inner = schema.additionalProperties;
    if (!inner || inner === true) return value;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, this.complete(each, inner, `${where}[...]`)]));
  }

  #object(value, schema, where) {
    const whole = {};
    for (const [key, inner] of Object.entries(schema.properties)) {
      if (Object.hasOwn(value, key)) whole[key] = this.complete(value[key], inner, `${where}.${key}`);
      else if (schema.required?.includes(key)) throw invalid(`Object missing required field \`${key}\` - at \`${where}\``);
      else whole[key] = isObject(inner.default) ? this.complete(inner.default, inner, where) : structuredClone(inner.default);
    }
    return whole;
  }
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const json = (value) => Buffer.from(JSON.stringify(value));

function failure(error) {
  if (!(error instanceof ServiceError)) console.error(error);
  const { kind, message } = error instanceof ServiceError ? error : { kind: "internal", message: "internal error; see the log" };
  const line = message.split("\n")[0].replace(/[^\x20-\x7e]/g, "?").slice(0, 200) || kind;
  const headers = { "Nats-Service-Error": line, "Nats-Service-Error-Code": String(CODES[kind]) };
  return { data: json({ kind, message }), headers };
}

export class Server {
  // Serves `handlers[operation](request)`; what has no handler is answered by `not_implemented`.
  constructor(nats, contract, node, handlers) {
    Object.assign(this, { nats, contract, node, handlers, instance: token().slice(0, 16), answers: new Map(), busy: new Set() });
    this.started = new Date();
  }

  async open() {
    const { name } = this.contract;
    const here = { service: name, node: this.node, instance: this.instance };
    this.nats.publish(`shoal.v1.signals.${name}.started`, json(here));
    for (const endpoint of this.contract.endpoints) {
      this.nats.subscribe(endpoint.address.replace("{node}", this.node), (message) => this.#serve(endpoint, message));
    }
    for (const verb of ["PING", "INFO", "STATS"]) {
      for (const tail of ["", `.${name}`, `.${name}.${this.instance}`]) this.#tell(`$SRV.${verb}${tail}`, () => this.#about(verb));
    }
    this.#tell(`shoal.v1.${name}.contract`, () => this.contract.bytes);
    await this.nats.flush();
  }

  #tell(subject, make) {
    this.nats.subscribe(subject, (message) => message.reply && this.nats.publish(message.reply, make()));
  }

  // NATS ADR-32.
  #about(verb) {
    const { name, document, bytes } = this.contract;
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    const metadata = { node: this.node, contract: `${name}.${document.info.version}`, digest };
    const endpoints = this.contract.endpoints.map((each) => ({ name: each.name, subject: each.address.replace("{node}", this.node) }));
    const head = { type: `io.nats.micro.v1.${verb.toLowerCase()}_response`, name, id: this.instance, version: "0.1.0", metadata };
    if (verb === "PING") return json(head);
    if (verb === "INFO") return json({ ...head, description: document.info.description, endpoints });
    return json({ ...head, started: this.started.toISOString(), endpoints });
  }

  async #serve(endpoint, message) {
    const id = message.headers["Shoal-Request-Id"];
    const age = Number(message.headers["Shoal-Age"] ?? 0);
    let work = id && this.answers.get(id);
    if (!work && !endpoint.idempotent && age > Date.now() - this.started + TRANSIT_MS) {
      work = failure(new ServiceError("unavailable", `${this.contract.name} was restarted during the call`));
    }
    work ??= this.#begin(endpoint, message, id);
    this.busy.add(work);
    const answer = await work;
    this.busy.delete(work);
    if (message.reply) this.nats.publish(message.reply, answer.data, answer.headers);
  }

  // A request that is sent again has the same id: it gets the same answer, and nothing is done twice.
  #begin(endpoint, message, id) {
    const work = this.#work(endpoint, message);
    if (id) this.answers.set(id, work);
    if (this.answers.size > KEPT_ANSWERS) this.answers.delete(this.answers.keys().next().value);
    return work;
  }

  async #work(endpoint, message) {
    try {
      const request = this.contract.complete(parse(message.data), this.contract.schema(endpoint.request));
      const handler = this.handlers[endpoint.name];
      if (!handler) throw new ServiceError("not_implemented", `this image store has no ${endpoint.name}`);
      const data = json(await handler.call(this.handlers, request));
      if (data.length > this.nats.maxPayload) throw new ServiceError("resource_exhausted", `an answer of ${data.length} bytes`);
      return { data, headers: {} };
    } catch (error) {
      return failure(error);
    }
  }

  async close() {
    await Promise.race([Promise.allSettled(this.busy), new Promise((done) => setTimeout(done, 5000))]);
    await this.nats.flush();
    this.nats.close();
  }
}

function parse(data) {
  try {
    return data.length ? JSON.parse(data) : {};
  } catch (error) {
    throw invalid(`JSON is malformed: ${error.message}`);
  }
}
