/**
 * Base64 (RFC 4648) as the protocol wants it: padding as the alphabet says, no white space, no bits beyond the last
 * byte, so that bytes have one text. `atob` is more forgiving.
 */

/** The alphabet of JSON documents, padded. */
export const STANDARD = "+/=";
/** The alphabet of keys, not padded. */
export const URL_SAFE = "-_";

/** The characters of an alphabet that differ: its last two digits, and the padding where there is one. */
export type Alphabet = typeof STANDARD | typeof URL_SAFE;

/** Text of `bytes`. */
export function encodeBase64(bytes: Uint8Array, alphabet: Alphabet): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replace(/[+/=]/g, (char) => alphabet[STANDARD.indexOf(char)] ?? "");
}

/** Bytes of `text`; `undefined` where it is not the one text of any bytes. */
export function decodeBase64(text: string, alphabet: Alphabet): Uint8Array<ArrayBuffer> | undefined {
  let binary: string;
  try {
    binary = atob(text.replace(/[-_]/g, (char) => STANDARD[alphabet.indexOf(char)] ?? char));
  } catch {
    return undefined;
  }
  const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
  return encodeBase64(bytes, alphabet) === text ? bytes : undefined;
}
