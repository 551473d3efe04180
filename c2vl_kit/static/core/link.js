// @ts-check
/** Widgets of one group answer each other in the browser, without a kernel; "" = alone. Topics: "hover" {name | null, names?},
 *  "pick" {names: [a, b], quiet?} (quiet: Python said it, nobody clicked), "select" {names}. A member never hears itself. */
import { SHARED } from "./shared.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {(data: any, from: string) => void} Answer */
/** @typedef {{group: string, name: string, on(topic: string, fn: Answer): () => void, emit(topic: string, data: any): void,
 *  hear: Answer3, move(to: string): void, close(): void}} Member */
/** @typedef {(topic: string, data: any, from: string) => void} Answer3 */

/** @param {string} group @param {string} name who speaks
 *  @returns {Member} */
export function link(group, name = "") {
  /** @type {Map<string, Answer[]>} */
  const heard = new Map();
  /** @param {string} topic */
  const of = (topic) => heard.get(topic) ?? [];
  /** @type {Member} */
  const member = {
    group: "",
    name,
    on(topic, fn) {
      heard.set(topic, [...of(topic), fn]);
      return () => { heard.set(topic, of(topic).filter((f) => f !== fn)); };
    },
    emit(topic, data) {
      for (const other of SHARED.groups.get(member.group) ?? []) if (other !== member) other.hear(topic, data, name);
    },
    hear(topic, data, from) { for (const fn of of(topic)) fn(data, from); },
    move(to) {
      SHARED.groups.get(member.group)?.delete(member);
      member.group = to || "";
      if (!member.group) return;
      if (!SHARED.groups.has(member.group)) SHARED.groups.set(member.group, new Set());
      SHARED.groups.get(member.group)?.add(member);
    },
    close() { member.move(""); heard.clear(); },
  };
  member.move(group);
  return member;
}

/** The same, following the model's trait `group`.
 *  @param {Model} model @param {string} name */
export function joinGroup(model, name) {
  const member = link(model.get("group"), name);
  const follow = () => member.move(model.get("group"));
  const { close } = member;
  model.on("change:group", follow);
  member.close = () => { model.off("change:group", follow); close(); };
  return member;
}

/** What most widgets do with what another one points at, picks or selects: keep its clips that are known here, say so in data-*, draw.
 *  @param {{bus: Member, root: HTMLElement, names: string[], push(change: Record<string, any>): void}} s
 *  @param {(names: string[]) => number[]} known numbers of the clips that are known here
 *  @param {{pointed(at: number[]): void, picked(at: number[], names: string[]): void, selected(at: number[], names: string[]): void}} on
 *  @returns {void} */
export function hearLinked(s, known, on) {
  const { bus, root } = s;
  bus.on("hover", ({ name, names }) => {
    const at = known(names ?? (name === null ? [] : [name]));
    root.dataset.linked = at.map((i) => s.names[i]).join("\n");
    on.pointed(at);
  });
  bus.on("pick", ({ names }) => {
    const at = known(names), picked = at.map((i) => s.names[i]);
    s.push({ picked });
    root.dataset.picked = picked.join("\n");
    on.picked(at, picked);
  });
  bus.on("select", ({ names }) => on.selected(known(names), names));
}
