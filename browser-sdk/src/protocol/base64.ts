/**
 * Base64 (RFC 4648) as the protocol wants it: padding as the alphabet says, no white space, no bits beyond the last
 * byte, so that bytes have one text. `atob` is more forgiving.
 */

/** The alphabet of JSON documents, padded. */
export const STANDARD = { digits: withLast("+/"), padded: true } as const;
/** The alphabet of keys, not padded. */
export const URL_SAFE = { digits: withLast("-_"), padded: false } as const;

/** An alphabet and whether it pads. */
export type Alphabet = typeof STANDARD | typeof URL_SAFE;

function withLast(last: string): string {
  return `ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789${last}`;
}

/** Text of `bytes`. */
export function encodeBase64(bytes: Uint8Array, { digits, padded }: Alphabet): string {
  let out = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const triple = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    const count = Math.min(3, bytes.length - at) + 1;
    for (let digit = 0; digit < count; digit += 1) out += digits.charAt((triple >> (18 - 6 * digit)) & 63);
  }
  return padded ? out.padEnd(Math.ceil(out.length / 4) * 4, "=") : out;
}

/** Bytes of `text`; `undefined` where it is not the one text of any bytes. */
export function decodeBase64(text: string, alphabet: Alphabet): Uint8Array<ArrayBuffer> | undefined {
  const plain = alphabet.padded ? text.replace(/={1,2}$/, "") : text;
  const out = new Uint8Array(Math.floor((plain.length * 3) / 4));
  let bits = 0;
  let buffer = 0;
  let length = 0;
  for (const char of plain) {
    const digit = alphabet.digits.indexOf(char);
    if (digit < 0) return undefined;
    buffer = ((buffer << 6) | digit) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[length] = buffer >> bits;
      length += 1;
    }
  }
  const isCanonical = plain.length % 4 !== 1 && (buffer & ((1 << bits) - 1)) === 0;
  const isPadded = !alphabet.padded || text.length === Math.ceil(plain.length / 4) * 4;
  return isCanonical && isPadded ? out : undefined;
}
