// An image store on plain files, in Node.js, made from the published contract alone. Settings are those of ours.
import fs from "node:fs";
import path from "node:path";
import { randomInt } from "node:crypto";
import { fileURLToPath } from "node:url";
import { Contract, Server } from "./contract.mjs";
import { Content } from "./content.mjs";
import { Images } from "./image.mjs";
import { Nats } from "./nats.mjs";
import { Peers } from "./peers.mjs";
import { Records } from "./records.mjs";
import { Snapshots } from "./snapshots.mjs";
import { Store } from "./store.mjs";
import { Streams } from "./streams.mjs";

const SCHEMA = fileURLToPath(new URL("../../../shared/contracts/schema/image_store.v1.json", import.meta.url));
const NODE_ID = 25;

const setting = (name, otherwise) => process.env[`SHOAL_${name}`] || otherwise;

function nodeId(state) {
  const file = path.join(state, "node-id"), alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  fs.mkdirSync(state, { recursive: true, mode: 0o710 });
  if (!fs.existsSync(file)) fs.writeFileSync(file, Array.from({ length: NODE_ID }, () => alphabet[randomInt(alphabet.length)]).join(""));
  return fs.readFileSync(file, "utf8").trim();
}

const state = setting("STATE_DIR", "/var/lib/shoal"), run = setting("RUN_DIR", "/run/shoal");
const broker = setting("NATS_URL") ?? `nats://127.0.0.1:${fs.readFileSync(path.join(state, "broker/port"), "utf8")}`;
const limits = { bytes: Number(setting("MAX_UNPACK_BYTES", 64 * 2 ** 30)), entries: Number(setting("MAX_UNPACK_ENTRIES", 2e6)) };

process.umask(0o022);
const contract = new Contract(SCHEMA), node = nodeId(state), key = path.join(state, "keys/image_store.nk");
const nats = new Nats(broker, contract.name, fs.existsSync(key) ? key : null);
const translate = new Images(contract), content = new Content(path.join(state, "image_store.files"), translate, limits);
const snapshots = new Snapshots(content), streams = new Streams(path.join(run, "streams/image_store.sock"));
content.open();
await nats.connect();
const records = new Records(nats, contract.name, node);
await records.open();
await streams.open();
content.changed = records.changed = () => nats.publish(`shoal.v1.signals.${contract.name}.changed`, Buffer.from("{}"));
const peers = new Peers(nats, contract, node);
const store = new Store({ nats, contract, records, content, snapshots, streams, translate, peers });
const operations = contract.endpoints.map(({ name }) => name).filter((name) => typeof store[name] === "function");
const server = new Server(nats, contract, node, Object.fromEntries(operations.map((name) => [name, store[name].bind(store)])));
await store.alone(() => content.sweep(store.standing())); // what a predecessor that was killed left
await server.open();
console.log(`image_store serves on node ${node}`);

for (const signal of ["SIGTERM", "SIGINT"]) {
  process.once(signal, async () => {
    await server.close();
    streams.close();
    process.exit(0);
  });
}
