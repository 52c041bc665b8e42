/** Vector files, and the inputs of their cases (`protocol/tests/vectors/mod.rs` says what a case is). */
import { readFileSync } from "node:fs";
import { utf8, concat, unhex } from "../src/protocol/bytes.ts";
import { ProtocolError } from "../src/protocol/error.ts";

interface Input {
  readonly hex?: string;
  readonly json?: string;
  readonly text?: string;
  readonly times?: number;
}

/** One case: a name, inputs, and what is expected. */
export interface Case extends Input {
  readonly name: string;
  readonly parts?: readonly Input[];
  readonly fields?: unknown;
  readonly lenient?: boolean;
  readonly error?: string;
  readonly subject?: string;
  readonly [input: string]: unknown;
}

/** A vector file. */
export interface Vectors {
  readonly what: string;
  readonly valid: readonly Case[];
  readonly invalid: readonly Case[];
}

/** Reads `protocol/vectors/NAME.json`. */
export function readVectors<T = Vectors>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../protocol/vectors/${name}.json`, import.meta.url), "utf8")) as T;
}

/** The main input of a case. */
export function bytesOf(input: Case | Input): Uint8Array<ArrayBuffer> {
  if (input.hex !== undefined) return unhex(input.hex);
  const text = input.json ?? input.text;
  if (text !== undefined) return utf8(text);
  const { parts } = input as Case;
  if (parts === undefined) throw new Error("a case has an input");
  return concat(...parts.map((part) => repeated(bytesOf(part), part.times ?? 1)));
}

function repeated(bytes: Uint8Array, times: number): Uint8Array {
  const out = new Uint8Array(bytes.length * times);
  for (let at = 0; at < out.length; at += bytes.length) out.set(bytes, at);
  return out;
}

/** An input of a case that must be there. */
export function given<T>(test: Case, name: string): T {
  if (!(name in test)) throw new Error(`${test.name}: ${name} is missing`);
  return test[name] as T;
}

/** What the code under test made of an input. */
export interface Judged {
  /** The value, as the vectors show it. */
  readonly fields: unknown;
  /** The value written again, where there is a writer for it. */
  readonly again?: Uint8Array | undefined;
}

/** A refusal that only the tests' own rules know. */
export class TestFault extends ProtocolError {
  constructor(code: string) {
    super("test", code);
  }
}
