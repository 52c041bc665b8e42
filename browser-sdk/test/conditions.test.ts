/** What the surroundings allow. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { BATTERY_MIN, Conditions, type ConditionPolicy, type Verdict } from "../src/conditions.ts";
import { Consent, type ConsentState } from "../src/consent/consent.ts";
import { isMobileAgent, type Sensed, type Surroundings } from "../src/surroundings.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const AT_EASE: Sensed = {
  saveData: false,
  network: undefined,
  isMobile: false,
  isHidden: false,
  battery: undefined,
  isSupported: true,
};

/** Senses that the test sets. */
class SetSurroundings implements Surroundings {
  readonly watchers = new Set<() => void>();
  sensed: Sensed;

  constructor(sensed: Partial<Sensed>) {
    this.sensed = { ...AT_EASE, ...sensed };
  }

  read(): Sensed {
    return this.sensed;
  }

  watch(changed: () => void): () => void {
    this.watchers.add(changed);
    return () => this.watchers.delete(changed);
  }

  become(sensed: Partial<Sensed>): void {
    this.sensed = { ...this.sensed, ...sensed };
    for (const changed of this.watchers) changed();
  }
}

function conditionsOf(sensed: Partial<Sensed>, policy: Partial<ConditionPolicy> = {}, state: ConsentState = "granted") {
  const note = { read: () => null, write: () => {}, watch: () => () => {} };
  const consent = new Consent({ ask: () => Promise.resolve("later"), textVersion: "1", note });
  consent.set(state);
  const surroundings = new SetSurroundings(sensed);
  const conditions = new Conditions(consent, policy, surroundings);
  const changes: Verdict[] = [];
  conditions.on("change", (verdict) => changes.push(verdict));
  return { consent, surroundings, conditions, changes };
}

const verdict = (allowed: "all" | "leech" | "nothing", ...reasons: Verdict["reasons"]): Verdict => ({
  p2p: allowed !== "nothing",
  upload: allowed === "all",
  reasons,
});
const ALL = verdict("all");
const LEECH = verdict("leech", "hidden");

const CASES: readonly [string, Partial<Sensed>, Partial<ConditionPolicy>, ConsentState, Verdict][] = [
  ["a desktop", {}, {}, "granted", ALL],
  ["nothing said yet", {}, {}, "ask", verdict("nothing", "consent")],
  ["said no", {}, {}, "denied", verdict("nothing", "consent")],
  ["data is to be saved", { saveData: true }, {}, "granted", verdict("nothing", "save-data")],
  ["nothing to talk with", { isSupported: false }, {}, "granted", verdict("nothing", "unsupported")],
  ["a desktop on a mobile network", { network: "cellular" }, {}, "granted", verdict("nothing", "cellular")],
  ["a desktop on a network of any name", { network: "other" }, {}, "granted", ALL],
  ["a phone on a mobile network", { isMobile: true, network: "cellular" }, {}, "granted", verdict("nothing", "cellular")],
  ["a phone that does not tell", { isMobile: true }, {}, "granted", verdict("nothing", "cellular")],
  ["a phone that does not know", { isMobile: true, network: "unknown" }, {}, "granted", verdict("nothing", "cellular")],
  ["a phone tethered", { isMobile: true, network: "bluetooth" }, {}, "granted", verdict("nothing", "cellular")],
  ["a phone at home", { isMobile: true, network: "wifi" }, {}, "granted", ALL],
  ["a phone on a cable", { isMobile: true, network: "ethernet" }, {}, "granted", ALL],
  ["a phone where the site allows it", { isMobile: true }, { cellular: true }, "granted", ALL],
  ["a battery at the limit", { battery: BATTERY_MIN }, {}, "granted", ALL],
  ["a low battery", { battery: BATTERY_MIN - 0.01 }, {}, "granted", verdict("leech", "battery")],
  ["an empty battery", { battery: 0 }, {}, "granted", verdict("leech", "battery")],
  ["hidden since now", { isHidden: true }, {}, "granted", ALL],
  [
    "all at once",
    { saveData: true, network: "cellular", battery: 0.1, isSupported: false },
    {},
    "denied",
    verdict("nothing", "unsupported", "consent", "save-data", "cellular", "battery"),
  ],
];

test.each(CASES)("%s", (_, sensed, policy, state, expected) => {
  expect(conditionsOf(sensed, policy, state).conditions.verdict).toEqual(expected);
});

const HIDDEN: readonly [string, Partial<ConditionPolicy>, number, Verdict][] = [
  ["for less than 30 s", {}, 29_999, ALL],
  ["for 30 s", {}, 30_000, LEECH],
  ["where it may upload", { hidden: "upload" }, 90_000, ALL],
  ["where it is off", { hidden: "off" }, 30_000, verdict("nothing", "hidden")],
  ["where it is off, not yet", { hidden: "off" }, 29_999, ALL],
  ["where the site waits less", { hiddenAfterMs: 1 }, 1, LEECH],
];

test.each(HIDDEN)("a tab hidden %s", (_, policy, ms, expected) => {
  const { surroundings, conditions, changes } = conditionsOf({}, policy);
  surroundings.become({ isHidden: true });
  vi.advanceTimersByTime(ms);
  expect(conditions.verdict).toEqual(expected);
  expect(changes).toEqual(expected === ALL ? [] : [expected]);
});

test("a tab that starts hidden is counted from there", () => {
  const { conditions } = conditionsOf({ isHidden: true });
  vi.advanceTimersByTime(30_000);
  expect(conditions.verdict).toEqual(LEECH);
});

test("a glance elsewhere counts anew", () => {
  const { surroundings, changes } = conditionsOf({});
  for (const isHidden of [true, false, true]) {
    surroundings.become({ isHidden });
    vi.advanceTimersByTime(20_000);
  }
  expect(changes).toEqual([]);
  // What else changes meanwhile does not start the count again.
  surroundings.become({ network: "wifi" });
  vi.advanceTimersByTime(10_000);
  surroundings.become({ isHidden: false });
  expect(changes).toEqual([LEECH, ALL]);
});

test("tells of each change once", () => {
  const { consent, surroundings, changes } = conditionsOf({}, {}, "ask");
  consent.set("granted");
  surroundings.become({ battery: 0.5 });
  surroundings.become({ battery: 0.1 });
  surroundings.become({ battery: 0.09 });
  surroundings.become({ battery: undefined });
  consent.set("denied");
  expect(changes).toEqual([ALL, verdict("leech", "battery"), ALL, verdict("nothing", "consent")]);
});

test("nothing is left after the end", () => {
  const { consent, surroundings, conditions, changes } = conditionsOf({ isHidden: true });
  conditions.close();
  consent.set("denied");
  expect([surroundings.watchers.size, vi.getTimerCount(), changes]).toEqual([0, 0, []]);
});

const AGENTS: readonly [string, number, boolean][] = [
  ["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36", 0, false],
  ["Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0", 10, false],
  ["Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15", 0, false],
  ["Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15", 5, true],
  ["Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Safari/604.1", 5, true],
  ["Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36", 5, true],
  ["Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36", 5, true],
  ["Mozilla/5.0 (Android 15; Mobile; rv:143.0) Gecko/143.0 Firefox/143.0", 5, true],
];

test.each(AGENTS)("%s with %i fingers", (userAgent, maxTouchPoints, expected) => {
  expect(isMobileAgent({ userAgent, maxTouchPoints })).toBe(expected);
});
