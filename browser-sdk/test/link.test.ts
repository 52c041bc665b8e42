/** What a link remembers of its peer: by the names that it gives now, and no more than its bounds. */
import { expect, test } from "vitest";
import type { Frame } from "../src/protocol/frame.ts";
import type { Hash } from "../src/protocol/id.ts";
import { HAVE_RANGES_MAX, LINK_REQUESTS_MAX } from "../src/protocol/limits.ts";
import { rangesOf, type Range } from "../src/protocol/ranges.ts";
import { Link, type LinkEvents } from "../src/session/link.ts";
import { RangeSet } from "../src/session/range_set.ts";
import type { Wire } from "../src/transport/wire.ts";

const id = (digit: string): Hash => digit.repeat(64) as Hash;
const named = (release: number, root: string): Frame => ({ type: "release", release, root: id(root), chunks: 100, sharing: true });
const ALL: Range = { start: 0, end: 1000 };

/** A link, what it told, and what went out on its wire. */
function linked() {
  const told: unknown[] = [];
  const sent: Frame[] = [];
  const events = new Proxy({} as LinkEvents, {
    get: (_, name) => (_link: Link, ...what: unknown[]) => void told.push([name, ...what]),
  });
  const wire = {
    kind: "web-rtc",
    side: "dialer",
    bindings: [],
    open: () => undefined,
    send: (frame) => void sent.push(frame),
    ask: (request) => void sent.push(request),
    cancel: () => undefined,
    answer: async () => 0,
    refuse: (frame) => void sent.push(frame),
    close: () => undefined,
  } satisfies Wire;
  return { link: new Link(1, id("a"), wire, events), told, sent };
}

test("a number that names another release forgets what was said of the one before", () => {
  const { link, told } = linked();
  link.frame(named(3, "b"));
  link.frame({ type: "have", release: 3, ranges: [{ start: 5, end: 9 }] });
  expect(link.holds(id("b"), ALL)).toEqual([{ start: 5, end: 9 }]);
  link.frame(named(3, "b"));
  expect(link.holds(id("b"), ALL)).toEqual([{ start: 5, end: 9 }]);
  link.frame(named(3, "c"));
  expect(link.holds(id("b"), ALL)).toEqual([]);
  expect(told.at(-1)).toMatchObject(["positions", "withdraw", [{ key: id("b"), ranges: [{ start: 0, end: Infinity }] }]]);
  link.frame({ type: "have", release: 4, ranges: [ALL] });
  expect(told).toHaveLength(2);
});

test("what is fetched of one shelf stays true when another one is spoken of", () => {
  const { link, told } = linked();
  const [first, second] = [{ start: 1, end: 2 }, { start: 5, end: 9 }];
  link.frame(named(3, "b"));
  link.frame(named(4, "c"));
  link.frame({ type: "fetching", release: 3, ranges: [first] });
  link.frame({ type: "fetching", release: 4, ranges: [second] });
  expect(told.at(-1)).toMatchObject(["positions", "fetching", [{ ranges: [first] }, { key: id("c"), ranges: [second] }]]);
  link.frame({ type: "fetching", release: 3, ranges: [] });
  expect(told.at(-1)).toMatchObject(["positions", "fetching", [{ key: id("b"), ranges: [] }, { ranges: [second] }]]);
});

test("positions go out in as many frames as they need", () => {
  const { link, sent } = linked();
  const ranges = Array.from({ length: HAVE_RANGES_MAX + 1 }, (_, at) => ({ start: 2 * at, end: 2 * at + 1 }));
  link.sendPositions("have", { number: 2, key: id("b"), frame: () => named(2, "b") }, ranges);
  expect(sent.map((frame) => (frame.type === "have" ? frame.ranges.length : frame.type))).toEqual([HAVE_RANGES_MAX, 1]);
});

test("a peer has only so many requests open", () => {
  const { link, sent, told } = linked();
  const ask = (request: number): void =>
    link.asked({ type: "request", request, kind: "chunk", hash: id("d"), offset: 0, encodings: 0 });
  for (let request = 0; request < LINK_REQUESTS_MAX; request += 1) ask(request);
  expect([told.length, sent.length]).toEqual([LINK_REQUESTS_MAX, 0]);
  ask(LINK_REQUESTS_MAX);
  expect(sent).toEqual([{ type: "refuse", request: LINK_REQUESTS_MAX, reason: "busy" }]);
  link.cancelled(0);
  ask(LINK_REQUESTS_MAX + 1);
  expect(sent).toHaveLength(1);
});

test("what is refused ends as the core knows it", () => {
  const reasons = ["not-held", "busy", "budget", "not-sharing", "other"] as const;
  const { link, told } = linked();
  for (const [request, reason] of reasons.entries()) {
    link.ask({ type: "request", request, kind: "chunk", hash: id("d"), offset: 0, encodings: 0 }, 10);
    link.answered({ type: "refuse", request, reason });
    // It is over.
    link.answered({ type: "refuse", request, reason });
  }
  const ends = ["not-held", "busy", "exhausted", "exhausted", "busy"];
  expect(told).toEqual(ends.map((end, request) => ["ended", request, end]));
});

/** Part of an answer of three bytes. */
const part = (request: number, ...payload: number[]) =>
  ({ type: "data", request, encoding: "identity", total: 3, payload: Uint8Array.from(payload) }) as const;

test("an answer is put together here, or by the wire", () => {
  const { link, told } = linked();
  const request = { type: "request", kind: "chunk", hash: id("d"), offset: 0, encodings: 0 } as const;
  for (const number of [0, 1, 2, 3]) link.ask({ ...request, request: number }, 3);
  link.answered(part(0, 1, 2));
  link.answered(part(0, 3));
  const gathered = Uint8Array.of(4, 5, 6);
  link.answered({ ...part(1), payload: gathered.subarray(0, 1) }, gathered);
  link.answered({ ...part(1), payload: gathered.subarray(1) }, gathered);
  // More than was said, and another size than was asked for.
  link.answered(part(2, 1, 2));
  link.answered(part(2, 3, 4));
  link.answered({ ...part(3, 1), total: 4 });
  expect(told).toEqual([
    ["received", 0, 2, undefined],
    ["received", 0, 1, Uint8Array.of(1, 2, 3)],
    ["received", 1, 1, undefined],
    ["received", 1, 2, gathered],
    ["received", 2, 2, undefined],
    ["ended", 2, "failed"],
    ["ended", 3, "failed"],
  ]);
  expect((told[3] as unknown[])[3]).toBe(gathered);
});

test("a set of ranges holds what was added and not removed since", () => {
  const set = new RangeSet();
  const held = new Set<number>();
  // A walk that is the same each time (the generator of Numerical Recipes).
  let state = 1;
  const next = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let step = 0; step < 3000; step += 1) {
    const start = next(60);
    const range = { start, end: start + 1 + next(12) };
    const isAdded = next(2) === 0;
    if (isAdded) set.add(range);
    else set.remove(range);
    for (let at = range.start; at < range.end; at += 1) {
      if (isAdded) held.add(at);
      else held.delete(at);
    }
    expect(set.within(ALL)).toEqual(rangesOf([...held].sort((a, b) => a - b)));
    const [low, high] = [next(40), 40 + next(40)];
    const inside = [...held].filter((at) => low <= at && at < high).sort((a, b) => a - b);
    expect(set.within({ start: low, end: high })).toEqual(rangesOf(inside));
  }
});

test("a set of ranges stays within its bound, whichever way it is splintered", () => {
  const apart = new RangeSet();
  for (let at = 0; at < 5000; at += 1) apart.add({ start: 2 * at, end: 2 * at + 1 });
  expect(apart.within({ start: 0, end: 1e6 })).toHaveLength(4096);
  const cut = new RangeSet();
  cut.add({ start: 0, end: 1e6 });
  for (let at = 0; at < 5000; at += 1) cut.remove({ start: 2 * at, end: 2 * at + 1 });
  expect(cut.within({ start: 0, end: 1e6 }).length).toBeLessThanOrEqual(4096);
});
