// What `docker rmi` does, as a list of steps decided before anything is done; or why it may not be.
import { conflict } from "./contract.mjs";
import { hexOf } from "./image.mjs";
import { parse } from "./names.mjs";

const short = (id) => hexOf(id).slice(0, 12);

export function removal(store, image, { reference, force, no_prune: keepParents, in_use: users, running }) {
  const names = store.records.of(image.id).map((each) => parse(each));
  const byId = hexOf(image.id).startsWith(hexOf(reference));
  const untag = (of) => of.map((name) => ({ id: image.id, untag: name }));
  const isSingle = names.filter((each) => each.tag).length <= 1 && new Set(names.map((each) => each.repository)).size <= 1;
  const gone = () => [{ id: image.id }, ...(keepParents ? [] : parents(store, image.id, users, running))];

  if (byId) {
    const manyNames = names.length > 0 && !isSingle;
    check(store, image.id, { users, running, stopped: !force, named: manyNames && !force });
    return [...untag(names), ...gone()];
  }
  if (!force && isSingle && users[image.id]) {
    throw conflict(`conflict: unable to remove repository reference "${reference}" (must force) - ` +
      `container ${short(users[image.id])} is using its referenced image ${short(image.id)}`);
  }
  const wanted = parse(reference).full, left = names.filter((each) => each.full !== wanted);
  const first = untag(names.filter((each) => each.full === wanted));
  if (left.length || store.children(image.id).length || running.includes(image.id) || (users[image.id] && !force)) return first;
  return [...first, ...gone()];
}

function check(store, id, { users, running, stopped, named }) {
  const refuse = (how, why) => {
    throw conflict(`conflict: unable to delete ${short(id)} (${how}) - ${why}`);
  };
  if (store.children(id).length) refuse("cannot be forced", "image has dependent child images");
  if (running.includes(id)) refuse("cannot be forced", `image is being used by running container ${short(users[id] ?? "")}`);
  if (named) refuse("must be forced", "image is referenced in multiple repositories");
  if (stopped && users[id]) refuse("must be forced", `image is being used by stopped container ${short(users[id])}`);
}

// The images it was made of go along, as far as nobody needs them.
function parents(store, id, users, running) {
  const steps = [];
  for (let child = id; ; ) {
    const parent = store.content.parents.get(child);
    const isNeeded = !parent || !store.content.images.has(parent) || store.records.of(parent).length || users[parent] ||
      running.includes(parent) || store.children(parent).some((each) => each !== child);
    if (isNeeded) return steps;
    steps.push({ id: parent });
    child = parent;
  }
}
