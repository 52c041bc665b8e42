/** Events reach their listeners, whatever other listeners do. */
import { afterEach, expect, test, vi } from "vitest";
import { Emitter } from "../src/events.ts";

afterEach(() => void vi.restoreAllMocks());

function heard(): { emitter: Emitter<{ a: number; b: string }>; log: unknown[]; note: (value: unknown) => void } {
  const log: unknown[] = [];
  return { emitter: new Emitter(), log, note: (value) => void log.push(value) };
}

test("each listener hears its own event, once", () => {
  const { emitter, log, note } = heard();
  emitter.on("a", note);
  emitter.on("a", note);
  emitter.emit("a", 1);
  emitter.emit("b", "other");
  expect(log).toEqual([1]);
});

test("who left hears nothing", () => {
  const { emitter, log, note } = heard();
  emitter.on("a", note);
  emitter.off("a", note);
  emitter.off("b", note);
  emitter.emit("a", 1);
  emitter.on("a", note);
  emitter.close();
  emitter.emit("a", 2);
  expect(log).toEqual([]);
});

test("a listener that throws is logged and stops nobody", () => {
  const logged = vi.spyOn(console, "error").mockImplementation(() => {});
  const { emitter, log, note } = heard();
  const fault = new Error("of the page");
  emitter.on("a", () => {
    throw fault;
  });
  emitter.on("a", note);
  emitter.emit("a", 1);
  expect(log).toEqual([1]);
  expect(logged).toHaveBeenCalledExactlyOnceWith(fault);
});

test("who comes or goes during an event does not change who hears it", () => {
  const { emitter, log, note } = heard();
  emitter.on("a", () => {
    emitter.off("a", note);
    emitter.on("a", () => note("late"));
  });
  emitter.on("a", note);
  emitter.emit("a", 1);
  expect(log).toEqual([1]);
});
