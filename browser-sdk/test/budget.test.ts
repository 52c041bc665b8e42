/** What a budget leaves to a core. */
import { expect, test } from "vitest";
import { UPLOAD_BUDGET, uploadBudget, uploadCaps, type UploadBudget, type UploadUse } from "../src/budget.ts";

const MIB = 2 ** 20;
const ALONE: UploadUse = { receivedBytes: 0, otherSentBytes: 0, cores: 1 };
const NONE: Partial<UploadBudget> = { rateBytesS: null, ratioPermille: null, totalBytes: null };

const CASES: readonly [string, Partial<UploadBudget>, Partial<UploadUse>, number | null, number | null][] = [
  ["a newcomer may go ahead", {}, {}, 625_000, 16 * MIB],
  ["as much as was received", {}, { receivedBytes: 100 * MIB }, 625_000, 116 * MIB],
  ["up to the total", {}, { receivedBytes: 5000 * MIB }, 625_000, 1024 * MIB],
  ["less what other cores sent", {}, { receivedBytes: 100 * MIB, otherSentBytes: 30 * MIB }, 625_000, 86 * MIB],
  ["the total less what other cores sent", {}, { receivedBytes: 2048 * MIB, otherSentBytes: 1000 * MIB }, 625_000, 24 * MIB],
  ["never less than nothing", {}, { otherSentBytes: 17 * MIB }, 625_000, 0],
  ["cores share the rate", {}, { cores: 3 }, 208_333, 16 * MIB],
  ["half of what was received", { ratioPermille: 500, allowanceBytes: 0 }, { receivedBytes: 999 }, 625_000, 499],
  ["double of what was received", { ratioPermille: 2000, allowanceBytes: 1 }, { receivedBytes: 7 }, 625_000, 15],
  ["nothing without receiving", { allowanceBytes: 0 }, {}, 625_000, 0],
  ["no caps", NONE, {}, null, null],
  ["only a total", { ...NONE, totalBytes: 10 }, { otherSentBytes: 4 }, null, 6],
  ["only a ratio", { ...NONE, ratioPermille: 1000 }, { receivedBytes: 4 }, null, 4 + 16 * MIB],
  ["a rate of nothing", { rateBytesS: 0 }, {}, 0, 16 * MIB],
];

test.each(CASES)("%s", (_, budget, use, rate, bytes) => {
  const caps = uploadCaps(uploadBudget(budget), { ...ALONE, ...use });
  expect(caps).toEqual({ upload_bytes_s_max: rate, upload_bytes_max: bytes });
});

test("5 Mbit/s, 16 MiB ahead and 1 GiB unless said otherwise", () => {
  expect(uploadBudget()).toEqual(UPLOAD_BUDGET);
});

const REFUSED: readonly [keyof UploadBudget, unknown][] = [
  ["rateBytesS", -1],
  ["ratioPermille", 0.5],
  ["totalBytes", Number.NaN],
  ["totalBytes", Infinity],
  ["totalBytes", 2 ** 53],
  ["rateBytesS", "625000"],
  ["rateBytesS", undefined],
  ["allowanceBytes", null],
];

test.each(REFUSED)("refuses %s of %s", (name, value) => {
  expect(() => uploadBudget({ [name]: value })).toThrow(new RegExp(`^upload budget: ${name} is `));
});
