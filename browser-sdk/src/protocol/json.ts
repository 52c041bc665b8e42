/**
 * A strict JSON reader (RFC 8259). `JSON.parse` hides what the native side refuses: a field given twice, `1.0` where an
 * integer belongs, integers beyond 64 bits, half a surrogate pair. Both sides must judge alike, so that is marked in the
 * text before it is parsed. It is stricter than the native side only within fields of a document that nobody knows, which
 * that side skips unread.
 */

/** A JSON value. What is a number but none of the integers that a form may have is an empty list, which no form takes. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/** The fields of an object. One that was given again stands a second time, as `name` and {@link AGAIN}. */
export interface JsonObject {
  readonly [name: string]: Json;
}

/** Follows the name of a field that was given again. */
export const AGAIN = "\0again";

/** Most lists and objects within each other. */
const DEPTH_MAX = 127;
/** Digits of the largest integer that the native side holds, as many as any larger one has at least. */
const LARGEST = String((1n << 64n) - 1n);

const TOKEN = /"(?:[^"\\]|\\.)*"(?:[ \t\n\r]*:)?|-?\d[-+.\deE]*|[[\]{}]/g;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Whether a value is an object. */
export function isObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads a JSON text; `undefined` where it is none. */
export function parseJson(text: string): Json | undefined {
  try {
    JSON.parse(text);
    return JSON.parse(marked(text)) as Json;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** JSON, in which is marked what `JSON.parse` would hide. Throws `SyntaxError` for what it would let pass. */
function marked(text: string): string {
  /** Names in the objects around. */
  const around: Set<string>[] = [];
  return text.replace(TOKEN, (token) => {
    if (token === "{" || token === "[") {
      around.push(new Set());
      if (around.length > DEPTH_MAX) throw new SyntaxError();
    } else if (token === "}" || token === "]") {
      around.pop();
    } else if (token.startsWith('"')) {
      const isName = token.endsWith(":");
      const string = JSON.parse(isName ? token.slice(0, -1) : token) as string;
      if (LONE_SURROGATE.test(string)) throw new SyntaxError();
      const names = around.at(-1);
      if (isName && names?.has(string)) return `${JSON.stringify(string + AGAIN)}:`;
      if (isName) names?.add(string);
    } else {
      if (!Number.isFinite(Number(token))) throw new SyntaxError();
      const isLarge = token.length > LARGEST.length || (token.length === LARGEST.length && token > LARGEST);
      if (/[.eE]/.test(token) || token === "-0" || isLarge) return "[]";
    }
    return token;
  });
}
