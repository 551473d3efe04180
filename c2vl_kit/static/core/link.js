// @ts-check
/** Widgets of one group answer each other in the browser, without a kernel; "" = alone. Topics: "hover" {name | null, names?},
 *  "pick" {names: [a, b]}, "select" {names}. A member never hears itself. */
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
