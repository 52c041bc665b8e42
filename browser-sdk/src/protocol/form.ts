/**
 * Forms of JSON documents and messages: what serde derives in Rust, written down as values. A form reads a strict JSON
 * value into a typed one.
 *
 * Field names stay as they are on the wire, so that a document reads alike in Rust, TypeScript and JSON.
 */
import { decodeBase64, STANDARD } from "./base64.ts";
import { AGAIN, isObject, parseJson, type Json, type JsonObject } from "./json.ts";
import { ProtocolError } from "./error.ts";

/** A JSON value that has not its form. Documents and messages report it under their own class. */
export class FormError extends ProtocolError<"malformed"> {
  constructor(what: string) {
    super("JSON", "malformed", what);
  }
}

/** How values of type `T` stand in JSON. */
export interface Form<T> {
  /** Reads a value. Throws {@link FormError}. */
  read(value: Json): T;
  /** What stands for a field that is missing; without it, the field must be there. */
  readonly missing?: { readonly value: T };
}

/** The type that a form reads. */
export type FormOf<F> = F extends Form<infer T> ? T : never;

/** Integers from 0 to `max`. */
export function integer(max: number): Form<number> {
  return {
    read: (value) => {
      if (typeof value !== "number" || value < 0 || value > max) throw new FormError(`an integer up to ${max}`);
      return value;
    },
  };
}

/** Integers of 8 bits. */
export const u8 = integer(0xff);
/** Integers of 16 bits. */
export const u16 = integer(0xffff);
/** Integers of 32 bits. */
export const u32 = integer(0xffff_ffff);
/** Integers of 64 bits. Those beyond 2^53-1 are read as some number beyond it, for the reader to refuse by name. */
export const u64 = integer(2 ** 64);

/** Any text. */
export const text: Form<string> = {
  read: (value) => {
    if (typeof value !== "string") throw new FormError("a string");
    return value;
  },
};

/** Text that `parse` checks; what it throws is a fault of form. */
export function parsed<T extends string | number>(base: Form<T extends string ? string : number>, parse: (value: never) => T): Form<T> {
  return {
    read: (value) => {
      const plain = base.read(value);
      try {
        return parse(plain as never);
      } catch (error) {
        if (error instanceof ProtocolError) throw new FormError(error.message);
        throw error;
      }
    },
  };
}

/** `true` or `false`. */
export const flag: Form<boolean> = {
  read: (value) => {
    if (typeof value !== "boolean") throw new FormError("true or false");
    return value;
  },
};

/** Bytes as padded base64. */
export const base64: Form<Uint8Array> = {
  read: (value) => {
    const bytes = decodeBase64(text.read(value), STANDARD);
    if (bytes === undefined) throw new FormError("base64");
    return bytes;
  },
};

/** One of `known`; any other text is `unknown`, a word of a later version. */
export function word<const T extends string>(...known: readonly T[]): Form<T | "unknown"> {
  return {
    read: (value) => {
      const given = text.read(value);
      return known.find((one) => one === given) ?? "unknown";
    },
  };
}

/** Lists. */
export function list<T>(item: Form<T>): Form<readonly T[]> {
  return {
    read: (value) => {
      if (!Array.isArray(value)) throw new FormError("a list");
      return value.map((one: Json) => item.read(one));
    },
  };
}

/** A list that may be missing, which is as good as empty. */
export function orNone<T>(form: Form<readonly T[]>): Form<readonly T[]> {
  return { ...form, missing: { value: [] } };
}

/** A value that may be missing or null. */
export function optional<T>(form: Form<T>): Form<T | undefined> {
  return {
    read: (value) => (value === null ? undefined : form.read(value)),
    missing: { value: undefined },
  };
}

type OptionalNames<F> = { [N in keyof F]: undefined extends FormOf<F[N]> ? N : never }[keyof F];
type Flat<T> = { readonly [N in keyof T]: T[N] };
/** The record that `F` describes; a value that may be undefined is a property that may be missing. */
export type RecordOf<F> = Flat<
  { [N in Exclude<keyof F, OptionalNames<F>>]: FormOf<F[N]> } & { [N in OptionalNames<F>]?: Exclude<FormOf<F[N]>, undefined> }
>;

/** Objects with these fields; others, of a later version, are ignored. */
export function record<const F extends { readonly [N in keyof F]: Form<FormOf<F[N]>> }>(fields: F): Form<RecordOf<F>> {
  const forms = Object.entries(fields as unknown as Record<string, Form<unknown>>);
  return {
    read: (value) => {
      if (!isObject(value)) throw new FormError("an object");
      const out: Record<string, unknown> = {};
      for (const [name, form] of forms) {
        const read = readField(value, name, form);
        if (read !== undefined) out[name] = read;
      }
      return out as RecordOf<F>;
    },
  };
}

function readField(object: JsonObject, name: string, form: Form<unknown>): unknown {
  if (Object.hasOwn(object, name + AGAIN)) throw new FormError(`${name} only once`);
  const value = Object.hasOwn(object, name) ? object[name] : undefined;
  if (value !== undefined) return form.read(value);
  if (form.missing === undefined) throw new FormError(`a field ${name}`);
  return form.missing.value;
}

type Variants = Readonly<Record<string, Form<object>>>;
/** A message: the fields of its type, and the type. */
export type TaggedOf<V> =
  | { [T in keyof V]: Flat<{ readonly type: T } & FormOf<V[T]>> }[keyof V]
  | { readonly type: "unknown" };

/** Objects whose `type` tells their other fields; another type is `unknown`, a message of a later version. */
export function tagged<const V extends Variants>(variants: V): Form<TaggedOf<V>> {
  const forms = new Map(Object.entries(variants as unknown as Record<string, Form<object>>));
  return {
    read: (value) => {
      if (!isObject(value)) throw new FormError("an object");
      const type = readField(value, "type", text) as string;
      const form = forms.get(type);
      return (form === undefined ? { type: "unknown" } : { type, ...form.read(value) }) as TaggedOf<V>;
    },
  };
}

/** Reads JSON text as `form`. Throws {@link FormError}. */
export function readJson<T>(json: string | undefined, form: Form<T>): T {
  const value = json === undefined ? undefined : parseJson(json);
  if (value === undefined) throw new FormError("JSON");
  return form.read(value);
}
