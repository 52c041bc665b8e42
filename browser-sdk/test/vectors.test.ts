/** Replays the vectors that Rust and TypeScript share. */
import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { ContentName } from "../src/protocol/id.ts";
import * as limits from "../src/protocol/limits.ts";
import { rendezvousOrder } from "../src/protocol/rendezvous.ts";
import { checkInvalid, checkValid } from "./check.ts";
import { judge, JUDGES, VALUE_JUDGES } from "./judges.ts";
import { readVectors } from "./vector.ts";

const FILES = [...Object.keys(JUDGES), ...Object.keys(VALUE_JUDGES)];

describe.each(FILES)("%s.json", (file) => {
  const { valid, invalid } = readVectors(file);
  test.each(valid)("accepts: $name", (one) => checkValid(file, one));
  test.each(invalid)("refuses: $name", (one) => checkInvalid(file, one));
});

test("every vector file is replayed", () => {
  const files = readdirSync(new URL("../../protocol/vectors", import.meta.url));
  // Patches and sealed releases are for those who install, which browsers do not.
  const sealed = ["sealed_root", "sealed_pointer", "sealed_chunk", "sealed_head"];
  // Nodes alone introduce each other.
  const introductions = ["introduction", "introduction_frame"];
  const known = [...FILES, "limits", "mutation", "rendezvous", "patch", "patch_page", ...sealed, ...introductions].map((file) => `${file}.json`);
  expect(new Set(files.filter((file) => file.endsWith(".json")))).toEqual(new Set(known));
});

test("limits are those of Rust", () => {
  const { limits: expected } = readVectors<{ limits: Record<string, number> }>("limits");
  expect({ ...limits }).toEqual(expected);
});

test("trackers are tried in the order of Rust", async () => {
  interface Order {
    readonly content: ContentName;
    readonly trackers: readonly string[];
    readonly order: readonly string[];
  }
  const { cases } = readVectors<{ cases: readonly Order[] }>("rendezvous");
  for (const { content, trackers, order } of cases) expect(await rendezvousOrder(content, trackers)).toEqual(order);
});

describe("introductions", () => {
  const { valid } = readVectors("introduction_frame");
  test.each(valid)("are skipped: $name", async (one) => {
    expect((await judge("frame", one)).fields).toMatchObject({ type: "skipped" });
  });
});

describe("sealed releases", () => {
  const { valid: pointers } = readVectors("sealed_pointer");
  test.each(pointers)("are passed over in a pointer: $name", async (one) => {
    const { preload: _, unsealed: __, ...known } = one.fields as Record<string, unknown>;
    expect((await judge("pointer", one)).fields).toEqual(known);
  });

  const { valid: roots } = readVectors("sealed_root");
  test.each(roots)("are refused by name: $name", async (one) => {
    await expect(judge("root", one)).rejects.toMatchObject({ code: "unsupported", subject: "sealed" });
  });
});
