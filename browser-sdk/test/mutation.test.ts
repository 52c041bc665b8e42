/** What becomes of good inputs that are cut off or changed by one bit must be the same as in Rust. */
import { describe, expect, test } from "vitest";
import { hex, utf8 } from "../src/protocol/bytes.ts";
import { ProtocolError } from "../src/protocol/error.ts";
import { hashOf } from "../src/protocol/id.ts";
import { JUDGES } from "./judges.ts";
import { bytesOf, readVectors, type Case } from "./vector.ts";

interface Digest {
  readonly form: string;
  readonly name: string;
  readonly changes: number;
  readonly sha256: string;
}

const { digests } = readVectors<{ digests: readonly Digest[] }>("mutation");

/** All cuts of `bytes`, then all changes of one bit. */
function* mutants(bytes: Uint8Array): Generator<Uint8Array<ArrayBuffer>> {
  for (let length = 0; length < bytes.length; length += 1) yield bytes.slice(0, length);
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const changed = bytes.slice();
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
    yield changed;
  }
}

/** One line for what became of an input. Anything but a refusal of the protocol's own fails the test. */
async function outcome(form: string, bytes: Uint8Array<ArrayBuffer>, original: Case): Promise<string> {
  try {
    const judged = await JUDGES[form]?.(bytes, original);
    return `ok ${hex(judged?.again ?? new Uint8Array())}`;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return `${error.code} ${subjectOf(error)}`;
  }
}

/** A malformed document says here what is missing, which Rust words in its own way. */
function subjectOf({ code, subject }: ProtocolError): string {
  return code === "malformed" || code === "mismatch" ? "" : (subject ?? "");
}

describe.each(digests)("$form: $name", ({ form, name, changes, sha256 }) => {
  test(`${changes} changes`, async () => {
    const original = readVectors(form).valid.find((one) => one.name === name) as Case;
    const lines: string[] = [];
    for (const bytes of mutants(bytesOf(original))) lines.push(await outcome(form, bytes, original));
    expect(lines.length).toBe(changes);
    expect(await hashOf(utf8(lines.join("\n")))).toBe(sha256);
  });
});
