/**
 * A strict JSON reader (RFC 8259). `JSON.parse` hides what the native side refuses: a field given twice, `1.0` where an
 * integer belongs, integers beyond 2^53, half a surrogate pair. Both sides must judge alike, so this keeps them apart.
 * It is stricter than the native side only within fields of a document that nobody knows, which that side skips unread.
 */

/** A number that was not written as an integer. No form of the protocol has one, so its value does not matter. */
export const FRACTION = Symbol("fraction");

/** A JSON value. Integers that a number cannot hold exactly are bigints. */
export type Json = null | boolean | number | bigint | string | typeof FRACTION | readonly Json[] | JsonObject;

/** The fields of an object, and the names that stand in it more than once. */
export class JsonObject {
  readonly fields = new Map<string, Json>();
  readonly repeated = new Set<string>();

  /** Adds a field. */
  add(name: string, value: Json): void {
    if (this.fields.has(name)) this.repeated.add(name);
    this.fields.set(name, value);
  }
}

/** Most lists and objects within each other. */
const DEPTH_MAX = 127;

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const LITERAL = /null|true|false/y;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Reads a JSON text; `undefined` where it is none. */
export function parseJson(text: string): Json | undefined {
  try {
    return new Parser(text).document();
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Json {
    const value = this.#value(DEPTH_MAX);
    if (this.#at < this.#text.length) throw new SyntaxError("text follows the value");
    return value;
  }

  /** Takes what `pattern` matches here; patterns are sticky. */
  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  /** Takes `char` if it is next. */
  #takes(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at += 1;
    this.#match(SPACE);
    return true;
  }

  #expect(char: string): void {
    if (!this.#takes(char)) throw new SyntaxError(`${char} is missing`);
  }

  #value(depth: number): Json {
    this.#match(SPACE);
    const value = this.#bare(depth);
    this.#match(SPACE);
    return value;
  }

  #bare(depth: number): Json {
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object(depth);
      case "[":
        return this.#list(depth);
      case '"':
        return this.#string();
      default: {
        const literal = this.#match(LITERAL);
        return literal === undefined ? this.#number() : (JSON.parse(literal) as null | boolean);
      }
    }
  }

  #object(depth: number): JsonObject {
    if (depth === 0) throw new SyntaxError("too deep");
    const object = new JsonObject();
    this.#expect("{");
    if (this.#takes("}")) return object;
    do {
      const name = this.#string();
      this.#match(SPACE);
      this.#expect(":");
      object.add(name, this.#value(depth - 1));
    } while (this.#takes(","));
    this.#expect("}");
    return object;
  }

  #list(depth: number): Json[] {
    if (depth === 0) throw new SyntaxError("too deep");
    const list: Json[] = [];
    this.#expect("[");
    if (this.#takes("]")) return list;
    do list.push(this.#value(depth - 1));
    while (this.#takes(","));
    this.#expect("]");
    return list;
  }

  #string(): string {
    const quoted = this.#match(STRING);
    if (quoted === undefined) throw new SyntaxError("a string is missing");
    const text = JSON.parse(quoted) as string;
    if (LONE_SURROGATE.test(text)) throw new SyntaxError("half a surrogate pair");
    return text;
  }

  #number(): number | bigint | typeof FRACTION {
    const text = this.#match(NUMBER);
    if (text === undefined) throw new SyntaxError("a value is missing");
    const value = Number(text);
    if (!Number.isFinite(value)) throw new SyntaxError("a number is out of range");
    if (/[.eE]/.test(text) || text === "-0") return FRACTION;
    return Number.isSafeInteger(value) ? value : BigInt(text);
  }
}
