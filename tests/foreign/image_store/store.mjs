// The endpoints of the contract. What changes the store is done one after the other (`alone`).
import fs from "node:fs";
import { ServiceError, conflict, invalid, notFound } from "./contract.mjs";
import { isId, parse, target } from "./names.mjs";
import { Archive, saved } from "./archive.mjs";
import { changed, completed } from "./changes.mjs";
import { chosen, prunable } from "./filters.mjs";
import { hexOf, manifestOf } from "./image.mjs";
import { PIECE, checked } from "./peers.mjs";
import { removal } from "./removal.mjs";
import { token } from "./nats.mjs";

const ARCHITECTURES = { x64: "amd64", arm64: "arm64", arm: "arm", ia32: "386", ppc64: "ppc64le", s390x: "s390x", riscv64: "riscv64" };
const HOST = { os: "linux", architecture: ARCHITECTURES[process.arch] ?? process.arch, variant: "", os_version: "" };
const now = () => new Date().toISOString();
const newest = (images) => [...images].sort((a, b) => b.created_ns - a.created_ns);

export class Store {
  constructor(parts) {
    Object.assign(this, parts, { last: Promise.resolve(), leases: new Map() });
  }

  alone(work) {
    const done = this.last.then(work);
    this.last = done.catch(() => {});
    return done;
  }

  tell(action, id, name = "") {
    const event = { type: "image", action, actor: id, attributes: { name: name || id }, time_ns: Date.now() * 1e6, scope: "local" };
    this.nats.publish(`shoal.v1.events.image.${action}`, Buffer.from(JSON.stringify(event)));
  }

  // An image as it is called now.
  shown(id) {
    const names = this.records.of(id).map((each) => parse(each)), familiar = (of) => of.map((each) => each.familiar).sort();
    const [tagged, digested] = [names.filter((each) => each.tag), names.filter((each) => each.digest)];
    const facts = { repo_tags: familiar(tagged), repo_digests: familiar(digested), parent: this.content.parents.get(id) ?? "" };
    const tags = this.records.of(id).map((each) => this.records.names.get(each).tagged);
    return { ...this.content.images.get(id), ...facts, last_tagged: Math.max(0, ...tags) };
  }

  find(text) {
    const name = isId(text) ? null : parse(text);
    const record = name && this.records.names.get(name.full);
    if (record && this.content.images.has(record.image_id)) return this.shown(record.image_id);
    const short = /^(sha256:)?[0-9a-f]+$/.test(text) ? hexOf(text) : null;
    const found = short ? [...this.content.images.keys()].filter((id) => hexOf(id).startsWith(short)) : [];
    if (found.length !== 1) throw notFound(`No such image: ${name ? name.familiar : text}`);
    return this.shown(found[0]);
  }

  // Images of a lease are not removed until it ends. (Ours keeps leases over a restart; here they are forgotten.)
  hold(lease, id) {
    if (lease) this.leases.set(lease, new Set([...(this.leases.get(lease) ?? []), id]));
  }

  leased = () => [...this.leases.values()].flatMap((each) => [...each]);

  end_lease({ id }) {
    this.leases.delete(id);
    return {};
  }

  resolve({ reference, platform, lease }) {
    const image = this.find(reference), has = image.platform;
    const differs = (key) => platform?.[key] && has[key] && platform[key] !== has[key];
    if (differs("os") || differs("architecture") || differs("variant")) {
      const shown = (each) => [each.os, each.architecture, each.variant].filter(Boolean).join("/");
      throw notFound(`image with reference ${reference} was found but its platform (${shown(has)}) ` +
        `does not match the specified platform (${shown(platform)})`);
    }
    this.hold(lease, image.id);
    return image;
  }

  list({ filters, all, shared_size: shared }) {
    const parents = new Set(this.content.parents.values());
    const everything = [...this.content.images.keys()].map((id) => this.shown(id));
    const seen = everything.filter((image) => all || image.repo_tags.length || !parents.has(image.id));
    const images = newest(chosen(seen, filters, (text) => this.find(text)));
    return { images, shared_sizes: shared ? Object.fromEntries(images.map((each) => [each.id, this.#shared(each)])) : {} };
  }

  #shared(image) {
    const others = [...this.content.images.values()].filter((each) => each.id !== image.id).flatMap((each) => each.diff_ids);
    return image.diff_ids.filter((each) => others.includes(each)).reduce((sum, each) => sum + this.#layerSize(each), 0);
  }

  #layerSize(diffId) {
    return fs.statSync(this.content.place("layers", diffId)).size;
  }

  async tag({ source, repository, tag }) {
    const name = target(repository, tag);
    return this.alone(async () => {
      const { id } = this.find(source);
      await this.records.put(name.full, id);
      this.tell("tag", id, name.familiar);
      return {};
    });
  }

  names({ names }) {
    return { names: names.map((each) => parse(each)).map((each) => [each.repository, each.tag]) };
  }

  remove(request) {
    return this.alone(async () => {
      const image = this.find(request.reference);
      request.running = [...request.running, ...this.leased()];
      return { removed: await this.#perform(removal(this, image, request)) };
    });
  }

  // Steps: {untag: name} of {id}, or {delete: true}; what became of them, as `docker rmi` shows it.
  async #perform(steps) {
    const removed = [];
    for (const { id, untag } of steps) {
      if (untag) await this.records.delete(untag.full);
      else this.content.drop(id);
      this.tell(untag ? "untag" : "delete", id);
      removed.push(untag ? { untagged: untag.familiar } : { deleted: id });
    }
    const freed = this.content.sweep(this.standing());
    return Object.assign(removed, { freed });
  }

  standing() {
    return this.snapshots.keys().map((key) => this.snapshots.image(key).diff_ids);
  }

  prune({ filters, in_use: used }) {
    return this.alone(async () => {
      const removed = [];
      let freed = 0;
      for (const image of prunable(newest([...this.content.images.keys()].map((id) => this.shown(id))), filters)) {
        if (used.includes(image.id) || this.leased().includes(image.id) || !this.content.images.has(image.id) || this.children(image.id).length) continue;
        const request = { reference: image.id, force: true, no_prune: false, in_use: {}, running: used };
        const done = await this.#perform(removal(this, this.shown(image.id), request));
        freed += done.freed;
        removed.push(...done.map((each) => each.untagged ?? each.deleted));
      }
      return { removed, bytes_freed: freed };
    });
  }

  children(id) {
    return [...this.content.parents].filter(([, parent]) => parent === id).map(([child]) => child);
  }

  prepare({ key, reference, platform }) {
    return this.alone(() => this.snapshots.prepare(key, this.resolve({ reference, platform })));
  }

  view({ id }) {
    return this.alone(async () => {
      const image = this.resolve({ reference: id }), source = await this.content.tree(image.diff_ids);
      return { image_id: image.id, mounts: [{ type: "bind", source, options: ["bind", "ro"] }] };
    });
  }

  snapshot({ id }) {
    return this.alone(() => this.snapshots.find(id));
  }

  release({ id }) {
    return this.alone(() => {
      this.snapshots.release(id);
      this.content.sweep(this.standing());
      return {};
    });
  }

  usage({ keys }) {
    const there = this.snapshots.keys(), asked = keys.length ? keys.filter((key) => there.includes(key)) : there;
    const images = [...this.content.images.values()], layers = new Set(images.flatMap((image) => image.diff_ids));
    return {
      snapshots: Object.fromEntries(asked.map((key) => [key, this.snapshots.usage(key)])),
      images: Object.fromEntries(images.map((image) => [image.id, image.size])),
      layers: [...layers].reduce((sum, each) => sum + this.#layerSize(each), 0),
    };
  }

  // A stream that takes an archive and gives lines; what goes wrong is the last line, as Docker says it.
  #receiving(work) {
    return this.streams.offer(async ({ incoming, write }) => {
      const say = (line) => write(Buffer.from(`${JSON.stringify(line)}\r\n`));
      let spooled;
      try {
        spooled = await this.content.spool(incoming);
        await this.alone(() => work(spooled, say));
      } catch (error) {
        await this.alone(() => this.content.sweep(this.standing()));
        await say({ errorDetail: { message: error.message }, error: error.message });
      } finally {
        if (spooled) fs.rmSync(spooled.file, { force: true });
      }
    });
  }

  load({ quiet, platform, platforms }) {
    if (platforms?.length) throw new ServiceError("not_implemented", "this image store takes one platform at a time");
    return this.#receiving(async (spooled, say) => {
      const archive = await Archive.read(spooled.file, this.content.limits.entries), told = [];
      const images = archive.images().map((item) => ({ ...item, document: archive.document(item.config) }));
      const parsed = images.map((item) => ({ ...item, image: this.translate.parse(item.document) }));
      const wanted = parsed.filter(({ image }) => !platform || image.platform.architecture === platform.architecture);
      if (!wanted.length) throw new Error("the archive holds no image that is asked for");
      for (const item of wanted) told.push(...(await this.#loadOne(archive, item, quiet ? () => {} : say)));
      for (const stream of told) await say({ stream: `${stream}\n` });
    });
  }

  async #loadOne(archive, { document, image, layers, names }, progress) {
    if (layers.length !== image.diff_ids.length) throw new Error(`invalid manifest, layers length mismatch: expected ${layers.length}, got ${image.diff_ids.length}`);
    for (const [at, diffId] of image.diff_ids.entries()) {
      if (this.content.has(diffId)) continue;
      this.content.adopt(await this.content.spool(archive.stream(layers[at])), diffId);
      const total = archive.size(layers[at]);
      await progress({ status: "Loading layer", progressDetail: { current: total, total }, id: hexOf(diffId).slice(0, 12) });
    }
    await this.content.tree(image.diff_ids);
    const lines = [];
    if (!this.content.images.has(image.id)) this.content.add(document);
    for (const name of names) {
      const before = this.records.names.get(name.full)?.image_id;
      if (before && before !== image.id && this.content.images.has(before)) {
        lines.push(`The image ${name.familiar} already exists, renaming the old one with ID ${before} to empty string`);
      }
      await this.records.put(name.full, image.id);
      lines.push(`Loaded image: ${name.familiar}`);
    }
    this.tell("load", image.id);
    return names.length ? lines : [`Loaded image ID: ${image.id}`];
  }

  // The layers are linked into a folder of the stream's own: what is removed meanwhile is still sent.
  save({ references, platform, platforms }) {
    if (platforms?.length) throw new ServiceError("not_implemented", "this image store takes one platform at a time");
    const images = new Map(), home = this.content.place("ingest", token());
    for (const reference of references) {
      const image = this.resolve({ reference, platform }), byId = hexOf(image.id).startsWith(hexOf(reference));
      const present = images.get(image.id) ?? { id: image.id, diffIds: image.diff_ids, document: this.content.document(image.id), names: [] };
      if (!byId) present.names.push(parse(reference).familiar);
      images.set(image.id, present);
    }
    fs.mkdirSync(home);
    const place = (diffId) => `${home}/${hexOf(diffId)}`, clear = () => fs.rmSync(home, { recursive: true, force: true });
    for (const each of new Set([...images.values()].flatMap((image) => image.diffIds))) fs.linkSync(this.content.place("layers", each), place(each));
    return this.streams.offer(async ({ write }) => {
      try {
        for await (const piece of saved([...images.values()], place)) await write(piece);
      } finally {
        clear();
      }
    }, clear);
  }

  #named(repository, tag) {
    if (repository.includes("@")) throw invalid("cannot import digest reference");
    return repository ? target(repository, tag) : null;
  }

  import_({ source, repository, tag, message, changes, platform }) {
    if (source) throw new ServiceError("not_implemented", "this image store fetches nothing");
    const name = this.#named(repository, tag), blank = this.contract.complete({}, this.contract.schema("ContainerConfig"));
    const config = changed(blank, changes), created = now();
    return this.#receiving(async (spooled, say) => {
      this.content.adopt(spooled);
      const history = [{ created, comment: message }];
      const image = { created, comment: message, config, platform: platform ?? HOST, diff_ids: [spooled.digest], history };
      const id = await this.#add(image, {}, "", name);
      this.tell("import", id);
      await say({ status: id });
    });
  }

  // An image made here, its layers being there.
  async #add(image, notes, parent, name) {
    await this.content.tree(image.diff_ids);
    const id = this.content.add(this.translate.encode(image, notes), parent);
    if (name) {
      await this.records.put(name.full, id);
      this.tell("tag", id, name.familiar);
    }
    return id;
  }

  async #child(parent, source, name, diffId, platform) {
    const config = changed(source.config, source.changes), created = source.created || now();
    const by = source.created_by || (source.container_config?.cmd ?? []).join(" ");
    const entry = { created, created_by: by, author: source.author, comment: source.comment, empty_layer: !diffId };
    const image = {
      created, author: source.author, comment: "", platform: parent?.platform ?? platform ?? HOST,
      config: source.defaults ? completed(config, source.defaults) : config,
      diff_ids: [...(parent?.diff_ids ?? []), ...(diffId ? [diffId] : [])], history: [...(parent?.history ?? []), entry],
    };
    const id = await this.#add(image, source, parent?.id ?? "", name);
    this.hold(source.lease, id);
    return id;
  }

  commit(request) {
    const { key, parent, release, platform } = request;
    if (key && parent) throw invalid("key, parent: only one of them says what the image is made of");
    if (request.origin) throw new ServiceError("not_implemented", "this image store takes no steps of other images");
    const name = this.#named(request.repository, request.tag);
    changed(request.config, request.changes);
    return this.alone(async () => {
      const below = key ? this.find(this.snapshots.image(key).id) : parent ? this.find(parent) : null;
      try {
        const packed = key ? await this.snapshots.pack(key) : null;
        if (packed) this.content.adopt(packed);
        const id = await this.#child(below, request, name, packed?.digest, platform);
        this.tell("create", id);
        return { image: this.shown(id), name: name?.familiar ?? "" };
      } finally {
        if (key && release) this.snapshots.release(key);
      }
    });
  }

  apply(request) {
    const parent = request.parent ? this.find(request.parent) : null, name = this.#named(request.repository, request.tag);
    changed(request.config, request.changes);
    return this.#receiving(async (spooled, say) => {
      if (parent && !this.content.images.has(parent.id)) throw conflict(`image ${parent.id} was removed meanwhile`);
      this.content.adopt(spooled);
      await say({ status: await this.#child(parent, request, name, spooled.digest, request.platform) });
    });
  }

  // Without the rules of `cache_from`: where it is given nothing is found, and the step is made anew.
  child({ parent, created_by: by, cache_from: from, lease }) {
    if (parent) this.hold(lease, this.find(parent).id);
    const made = [...this.content.images.values()].filter((each) => {
      return (this.content.parents.get(each.id) ?? "") === parent && each.history.at(-1)?.created_by === by;
    });
    const image = made.length && !from.length ? this.shown(newest(made)[0].id) : null;
    if (image) this.hold(lease, image.id);
    return { image, origin: "", next: [] };
  }

  // What other hosts' stores ask. Manifests, configurations and plain layers are the blobs that are here.
  #blob(digest) {
    checked(digest);
    return ["manifests", "images", "layers"].map((kind) => this.content.place(kind, digest)).find((file) => fs.existsSync(file));
  }

  holds({ digests }) {
    return { digests: digests.filter((each) => this.#blob(each)) };
  }

  read({ digest, offset, length }) {
    if (offset < 0 || length < 0 || length > PIECE) throw invalid(`offset, length: no piece of a blob; at most ${PIECE} bytes at once`);
    const file = this.#blob(digest);
    if (!file) throw notFound(`no blob ${digest}`);
    const handle = fs.openSync(file), piece = Buffer.alloc(length);
    try {
      const count = fs.readSync(handle, piece, 0, length, offset);
      return { data: piece.subarray(0, count).toString("base64"), size: fs.fstatSync(handle).size };
    } finally {
      fs.closeSync(handle);
    }
  }

  // Layers come into files of their own; only when all are there they are taken over.
  async fetch({ manifest: wanted, nodes, names }) {
    const called = names.map((each) => parse(each));
    checked(wanted.digest, "manifest");
    let id = this.content.described(wanted.digest);
    if (!id) {
      const hosts = await this.peers.nodes(nodes), manifest = await this.peers.small(hosts, wanted);
      const { config, layers } = manifestOf(manifest), document = await this.peers.small(hosts, config), spooled = [];
      const image = this.translate.parse(document);
      if (image.diff_ids.length !== layers.length) throw invalid("layers from manifest don't match image configuration");
      try {
        for (const [at, diffId] of image.diff_ids.entries()) {
          if (!this.content.has(diffId)) spooled.push([await this.peers.whole(hosts, layers[at], (chunks) => this.content.spool(chunks)), diffId]);
        }
        id = await this.alone(() => this.#fetched(manifest, document, image, spooled));
      } finally {
        for (const [{ file }] of spooled) fs.rmSync(file, { force: true });
      }
    }
    await this.alone(async () => {
      for (const name of called) await this.records.put(name.full, id);
    });
    return { image_id: id };
  }

  async #fetched(manifest, document, image, spooled) {
    for (const [each, diffId] of spooled) if (!this.content.has(diffId)) this.content.adopt(each, diffId);
    if (!image.diff_ids.every((each) => this.content.has(each))) throw new ServiceError("unavailable", "a layer was removed meanwhile");
    await this.content.tree(image.diff_ids);
    if (!this.content.images.has(image.id)) this.content.add(document);
    this.content.describe(manifest);
    return image.id;
  }

  async changes({ id }) {
    const changes = await this.alone(() => this.snapshots.changes(id)), found = changes.map((each) => ({ ...each, path: `/${each.path}` }));
    return this.streams.offer(({ write }) => write(Buffer.from(found.map((each) => `${JSON.stringify(each)}\n`).join(""))));
  }
}
