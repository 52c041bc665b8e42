/**
 * Reading and writing the binary forms: QUIC's variable-length integers (RFC 9000, 16) and length-prefixed bytes.
 *
 * Integers are limited to 2^53-1 and must use their shortest form, so that one value has one encoding.
 */
import { textOf, utf8 } from "./bytes.ts";
import { ProtocolError } from "./error.ts";
import { hashOfBytes, type Hash } from "./id.ts";
import { INTEGER_MAX } from "./limits.ts";

/** Why bytes were refused. */
export type WireCode =
  | "truncated"
  | "integer-too-large"
  | "integer-not-shortest"
  | "over-limit"
  | "invalid"
  | "trailing";

/** Bytes that are not what they should be; `subject` names the value for `over-limit` and `invalid`. */
export class WireError extends ProtocolError<WireCode> {
  constructor(code: WireCode, subject?: string) {
    super("bytes", code, subject);
  }
}

/** Number of bytes that `value` takes. */
export function varintLength(value: number): 1 | 2 | 4 | 8 {
  if (value < 0x40) return 1;
  if (value < 0x4000) return 2;
  return value < 0x4000_0000 ? 4 : 8;
}

/** Collects own values; those are within their limits, so what is not is a fault of the caller (`RangeError`). */
export class Writer {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  /** Has room for so many bytes, and finds more where they are not enough. */
  constructor(room = 64) {
    this.#bytes = new Uint8Array(room);
  }

  /** All that was written, without a copy. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Appends one byte. */
  byte(value: number): this {
    return this.raw(Uint8Array.of(value));
  }

  /** Appends bytes without their length. */
  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** Appends an integer. */
  varint(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is not an integer of the wire`);
    const length = varintLength(value);
    this.#reserve(length);
    const view = new DataView(this.#bytes.buffer, this.#length, length);
    switch (length) {
      case 1:
        view.setUint8(0, value);
        break;
      case 2:
        view.setUint16(0, value | 0x4000);
        break;
      case 4:
        view.setUint32(0, (value | 0x8000_0000) >>> 0);
        break;
      case 8:
        view.setUint32(0, (Math.floor(value / 2 ** 32) | 0xc000_0000) >>> 0);
        view.setUint32(4, value % 2 ** 32);
    }
    this.#length += length;
    return this;
  }

  /** Appends a length and the bytes. */
  bytes(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }

  /** Appends a length and the text in UTF-8. */
  text(text: string): this {
    return this.bytes(utf8(text));
  }

  #reserve(length: number): void {
    const needed = this.#length + length;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

/** Reads values off the front of bytes. All methods but `remaining` and `rest` throw {@link WireError}. */
export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Number of bytes read. */
  get position(): number {
    return this.#at;
  }

  /** Number of bytes not yet read. */
  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  /** Takes `length` bytes, without a copy. */
  take(length: number): Uint8Array {
    if (length > this.remaining) throw new WireError("truncated");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** Takes all that is left, without a copy. */
  rest(): Uint8Array {
    return this.take(this.remaining);
  }

  /** Takes one byte. */
  byte(): number {
    const [value] = this.take(1);
    return value as number;
  }

  /** Takes a hash. */
  hash(): Hash {
    return hashOfBytes(this.take(32));
  }

  /** Takes an integer. */
  varint(): number {
    const first = this.#bytes[this.#at];
    if (first === undefined) throw new WireError("truncated");
    const length = 1 << (first >> 6);
    const bytes = this.take(length);
    let value = first & 0x3f;
    for (let at = 1; at < length; at += 1) value = value * 256 + (bytes[at] as number);
    // A sum beyond 2^53 may have been rounded, but never to below it.
    if (value > INTEGER_MAX) throw new WireError("integer-too-large");
    if (varintLength(value) !== length) throw new WireError("integer-not-shortest");
    return value;
  }

  /** Takes an integer of at most `max`; `what` names it in the error. */
  varintMax(max: number, what: string): number {
    const value = this.varint();
    if (value > max) throw new WireError("over-limit", what);
    return value;
  }

  /** Takes length-prefixed bytes, at most `max` of them, without a copy. */
  bytesMax(max: number, what: string): Uint8Array {
    return this.take(this.varintMax(max, what));
  }

  /** Takes length-prefixed UTF-8, at most `max` bytes. */
  textMax(max: number, what: string): string {
    const text = textOf(this.bytesMax(max, what));
    if (text === undefined) throw new WireError("invalid", what);
    return text;
  }

  /** Ends reading. */
  finish(): void {
    if (this.remaining > 0) throw new WireError("trailing");
  }
}
