/** What is remembered of the user's answer, and when the user is asked. */
import { afterEach, expect, test, vi } from "vitest";
import { Consent, LATER_MS, type Asker, type ConsentAnswer, type ConsentOptions } from "../src/consent/consent.ts";
import { type Note } from "../src/consent/note.ts";

const NOW = 1_800_000_000_000;

afterEach(() => void vi.restoreAllMocks());

/** A storage that several tabs share. */
class SharedNote implements Note {
  text: string | null = null;
  readonly watchers = new Set<() => void>();

  read(): string | null {
    return this.text;
  }

  write(text: string): void {
    this.text = text;
  }

  watch(changed: () => void): () => void {
    this.watchers.add(changed);
    return () => this.watchers.delete(changed);
  }

  /** Another tab writes. */
  elsewhere(text: string | null): void {
    this.text = text;
    for (const changed of this.watchers) changed();
  }
}

const remembered = (state: string, text: unknown = "1", time: unknown = NOW) => JSON.stringify({ state, text, time });

/** An asker that counts, and answers when told. */
function asker(): { ask: Asker; answer: (answer: ConsentAnswer) => void; signals: AbortSignal[] } {
  const signals: AbortSignal[] = [];
  const waiting: ((answer: ConsentAnswer) => void)[] = [];
  const ask: Asker = (signal) => {
    signals.push(signal);
    return new Promise((resolve) => waiting.push(resolve));
  };
  const answer = (said: ConsentAnswer) => {
    for (const resolve of waiting.splice(0)) resolve(said);
  };
  return { ask, answer, signals };
}

const nobody: Asker = () => Promise.reject(new Error("nobody is asked"));

function consentOf(note: Note, options: Partial<ConsentOptions> = {}): { consent: Consent; changes: string[] } {
  const consent = new Consent({ ask: nobody, textVersion: "1", note, now: () => NOW, ...options });
  const changes: string[] = [];
  consent.on("change", (state) => changes.push(state));
  return { consent, changes };
}

const NOTES: readonly [string, string | null, string][] = [
  ["nothing", null, "ask"],
  ["yes", remembered("granted"), "granted"],
  ["no", remembered("denied"), "denied"],
  ["not now", remembered("later"), "ask"],
  ["yes to another text", remembered("granted", "0"), "ask"],
  ["no to another text", remembered("denied", "2"), "ask"],
  ["yes to no text", remembered("granted", null), "ask"],
  ["an unknown answer", remembered("perhaps"), "ask"],
  ["no JSON", "granted", "ask"],
  ["no text at all", "", "ask"],
  ["null", "null", "ask"],
  ["a number", "7", "ask"],
  ["a list", "[]", "ask"],
];

test.each(NOTES)("remembers: %s", (_, text, expected) => {
  const note = new SharedNote();
  note.text = text;
  expect(consentOf(note).consent.state).toBe(expected);
});

test("keeps the answer, its text and its time", () => {
  const note = new SharedNote();
  const { consent, changes } = consentOf(note);
  consent.set("granted");
  consent.set("granted");
  expect(note.text).toBe(remembered("granted"));
  consent.set("denied");
  expect(note.text).toBe(remembered("denied"));
  expect(changes).toEqual(["granted", "denied"]);
  expect(consentOf(note).consent.state).toBe("denied");
});

test.each(["granted", "denied"] as const)("a site that says %s is neither asked nor remembered", async (state) => {
  const note = new SharedNote();
  note.text = remembered(state === "granted" ? "denied" : "granted");
  const before = note.text;
  const { consent } = consentOf(note, { consent: state });
  expect(await consent.ask()).toBe(state);
  const other = state === "granted" ? "denied" : "granted";
  consent.set(other);
  expect([consent.state, note.text, note.watchers.size]).toEqual([other, before, 0]);
});

test.each([
  ["granted", "granted", remembered("granted")],
  ["denied", "denied", remembered("denied")],
  ["later", "ask", remembered("later")],
  // A site's function may return anything.
  ["yes" as ConsentAnswer, "ask", remembered("later")],
] as const)("asks, and hears %s", async (answer, state, text) => {
  const note = new SharedNote();
  const { consent } = consentOf(note, { consent: () => Promise.resolve(answer) });
  expect(await consent.ask()).toBe(state);
  expect(note.text).toBe(text);
});

test("asks one question at a time", async () => {
  const { ask, answer, signals } = asker();
  const { consent } = consentOf(new SharedNote(), { ask });
  const both = Promise.all([consent.ask(), consent.ask()]);
  answer("granted");
  expect(await both).toEqual(["granted", "granted"]);
  expect(await consent.ask()).toBe("granted");
  expect(signals).toHaveLength(1);
});

test.each([
  ["at once", NOW, 0],
  ["just before a day is over", NOW + LATER_MS - 1, 0],
  ["after a day", NOW + LATER_MS, 1],
])("who said later is asked again: %s", async (_, now, asked) => {
  const note = new SharedNote();
  const first = consentOf(note, { ask: () => Promise.resolve("later") });
  await first.consent.ask();
  const { ask, answer, signals } = asker();
  const { consent } = consentOf(note, { ask, now: () => now });
  const asking = consent.ask();
  answer("later");
  await asking;
  expect(signals).toHaveLength(asked);
});

test("a wrong clock leaves the user alone for a day, not forever", async () => {
  const note = new SharedNote();
  note.text = remembered("later", "1", NOW + 1000 * LATER_MS);
  let now = NOW;
  const { ask, signals } = asker();
  const { consent } = consentOf(note, { ask, now: () => now });
  await consent.ask();
  now += LATER_MS;
  void consent.ask();
  expect(signals).toHaveLength(1);
  consent.close();
});

test("asks at once after the answer was taken back", async () => {
  const note = new SharedNote();
  const { ask, answer, signals } = asker();
  const { consent } = consentOf(note, { ask });
  consent.set("granted");
  consent.set("ask");
  const asking = consent.ask();
  answer("denied");
  expect(await asking).toBe("denied");
  expect(signals).toHaveLength(1);
});

test("a way of asking that fails is no answer", async () => {
  const logged = vi.spyOn(console, "error").mockImplementation(() => {});
  const note = new SharedNote();
  const fault = new Error("of the site");
  const { consent } = consentOf(note, { consent: () => Promise.reject(fault) });
  expect(await consent.ask()).toBe("ask");
  expect(note.text).toBeNull();
  expect(logged).toHaveBeenCalledExactlyOnceWith(fault);
});

test.each([
  ["granted", remembered("granted"), "granted", true],
  ["denied", remembered("denied"), "denied", true],
  ["later", remembered("later"), "ask", true],
  ["another text", remembered("granted", "2"), "ask", false],
  ["cleared", null, "ask", false],
])("another tab settles the question: %s", async (_, text, state, isSettled) => {
  const note = new SharedNote();
  const { ask, answer, signals } = asker();
  const { consent } = consentOf(note, { ask });
  const asking = consent.ask();
  note.elsewhere(text);
  expect([consent.state, signals[0]?.aborted]).toEqual([state, isSettled]);
  answer("granted");
  // What comes after the question was settled does not count.
  expect(await asking).toBe(isSettled ? state : "granted");
});

test("another tab takes the consent back", () => {
  const note = new SharedNote();
  const { consent, changes } = consentOf(note);
  consent.set("granted");
  note.elsewhere(null);
  note.elsewhere(remembered("granted"));
  note.elsewhere(remembered("denied"));
  expect(changes).toEqual(["granted", "ask", "granted", "denied"]);
});

test("nothing is left after the end", async () => {
  const note = new SharedNote();
  const { ask, answer, signals } = asker();
  const { consent, changes } = consentOf(note, { ask });
  const asking = consent.ask();
  consent.close();
  answer("granted");
  await asking;
  consent.set("granted");
  await consent.ask();
  expect([note.watchers.size, note.text, changes, signals.length, signals[0]?.aborted]).toEqual([0, null, [], 1, true]);
});
