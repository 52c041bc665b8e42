/** Replays the vectors that Rust and TypeScript share. */
import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import * as limits from "../src/protocol/limits.ts";
import { checkInvalid, checkValid } from "./check.ts";
import { JUDGES, VALUE_JUDGES } from "./judges.ts";
import { readVectors } from "./vector.ts";

const FILES = [...Object.keys(JUDGES), ...Object.keys(VALUE_JUDGES)];

describe.each(FILES)("%s.json", (file) => {
  const { valid, invalid } = readVectors(file);
  test.each(valid)("accepts: $name", (one) => checkValid(file, one));
  test.each(invalid)("refuses: $name", (one) => checkInvalid(file, one));
});

test("every vector file is replayed", () => {
  const files = readdirSync(new URL("../../protocol/vectors", import.meta.url));
  // Patches are for those who install, which browsers do not.
  const known = [...FILES, "limits", "mutation", "patch", "patch_page"].map((file) => `${file}.json`);
  expect(new Set(files.filter((file) => file.endsWith(".json")))).toEqual(new Set(known));
});

test("limits are those of Rust", () => {
  const { limits: expected } = readVectors<{ limits: Record<string, number> }>("limits");
  expect({ ...limits }).toEqual(expected);
});
