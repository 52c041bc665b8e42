/** Replays the vectors that Rust and TypeScript share. */
import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { hex } from "../src/protocol/bytes.ts";
import { ProtocolError } from "../src/protocol/error.ts";
import * as limits from "../src/protocol/limits.ts";
import { judge, JUDGES, VALUE_JUDGES } from "./judges.ts";
import { bytesOf, readVectors, type Case } from "./vector.ts";

const FILES = [...Object.keys(JUDGES), ...Object.keys(VALUE_JUDGES)];

async function checkValid(file: string, valid: Case): Promise<void> {
  const { fields, again } = await judge(file, valid);
  expect(fields).toEqual(valid.fields);
  if (again) expect(hex(again) === hex(bytesOf(valid)), "written again as it was").toBe(valid.lenient !== true);
}

async function checkInvalid(file: string, invalid: Case): Promise<void> {
  const fault: unknown = await judge(file, invalid).then(
    ({ fields }) => fields,
    (error: unknown) => error,
  );
  expect(fault).toBeInstanceOf(ProtocolError);
  const { code, subject } = fault as ProtocolError;
  expect(code).toBe(invalid.error);
  if (invalid.subject !== undefined) expect(subject).toBe(invalid.subject);
}

describe.each(FILES)("%s.json", (file) => {
  const { valid, invalid } = readVectors(file);
  test.each(valid)("accepts: $name", (one) => checkValid(file, one));
  test.each(invalid)("refuses: $name", (one) => checkInvalid(file, one));
});

test("every vector file is replayed", () => {
  const files = readdirSync(new URL("../../protocol/vectors", import.meta.url));
  const known = [...FILES, "limits", "mutation"].map((file) => `${file}.json`);
  expect(new Set(files.filter((file) => file.endsWith(".json")))).toEqual(new Set(known));
});

test("limits are those of Rust", () => {
  const { limits: expected } = readVectors<{ limits: Record<string, number> }>("limits");
  expect({ ...limits }).toEqual(expected);
});
