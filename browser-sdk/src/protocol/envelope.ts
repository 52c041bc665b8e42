/**
 * Signed JSON documents in a DSSE envelope (github.com/secure-systems-lab/dsse), which signs the exact payload bytes
 * together with a payload type. Browsers read such documents; who publishes is native, so there is no writer here.
 */
import { decodeBase64, STANDARD } from "./base64.ts";
import { concat, textOf, utf8 } from "./bytes.ts";
import { ProtocolError } from "./error.ts";
import { FormError, list, parsed, readJson, record, text } from "./form.ts";
import { parseHash, type KeyId } from "./id.ts";
import { isSigned, keyId, type PublicKey } from "./key.ts";
import { SIGNATURES_MAX } from "./limits.ts";

/** Why a signed document was refused, whatever it says. */
export type EnvelopeCode = "malformed" | "wrong-type" | "too-long" | "too-many-signatures" | "untrusted";

/** An envelope that was refused. */
export class EnvelopeError extends ProtocolError<EnvelopeCode> {
  constructor(code: EnvelopeCode, subject?: string) {
    super("signed document", code, subject);
  }
}

/** A kind of signed document. */
export interface DocumentKind {
  /** DSSE payload type. */
  readonly payload_type: string;
  /** Largest payload, in bytes. */
  readonly bytes_max: number;
}

const ENVELOPE = record({
  payloadType: text,
  payload: text,
  signatures: list(record({ keyid: parsed(text, parseHash), sig: text })),
});

/** Longest foreign text that an error repeats, in characters. */
export const QUOTE_CHARS_MAX = 80;

/** At most {@link QUOTE_CHARS_MAX} characters of a foreign text. */
export function quote(foreign: string): string {
  return [...foreign].slice(0, QUOTE_CHARS_MAX).join("");
}

/** Largest envelope that can hold a payload of `kind`, in bytes. */
export function envelopeBytesMax(kind: DocumentKind): number {
  return Math.ceil(kind.bytes_max / 3) * 4 + 256 * SIGNATURES_MAX + 256;
}

/**
 * Opens an envelope and returns its payload, which at least one of `trusted` has signed. Nothing of the payload is
 * looked at before the signature matches. Throws {@link EnvelopeError}.
 */
export async function openEnvelope(
  kind: DocumentKind,
  envelope: Uint8Array,
  trusted: readonly PublicKey[],
): Promise<Uint8Array<ArrayBuffer>> {
  if (envelope.length > envelopeBytesMax(kind)) throw new EnvelopeError("too-long");
  const { payloadType, payload, signatures } = readForm(textOf(envelope), ENVELOPE);
  if (payloadType !== kind.payload_type) throw new EnvelopeError("wrong-type", quote(payloadType));
  if (signatures.length > SIGNATURES_MAX) throw new EnvelopeError("too-many-signatures");
  const bytes = decodeBase64(payload, STANDARD);
  if (bytes === undefined) throw new EnvelopeError("malformed", "payload is not base64");
  if (bytes.length > kind.bytes_max) throw new EnvelopeError("too-long");
  const message = concat(utf8(`DSSEv1 ${payloadType.length} ${payloadType} ${bytes.length} `), bytes);
  const keys = await keysById(trusted);
  for (const { keyid, sig } of signatures) {
    const key = keys.get(keyid);
    const signature = decodeBase64(sig, STANDARD);
    if (key && signature && (await isSigned(key, message, signature))) return bytes;
  }
  throw new EnvelopeError("untrusted");
}

/** Reads JSON, reporting faults of form as this file's error. */
function readForm<T>(json: string | undefined, form: Parameters<typeof readJson<T>>[1]): T {
  try {
    return readJson(json, form);
  } catch (error) {
    if (error instanceof FormError) throw new EnvelopeError("malformed", error.subject);
    throw error;
  }
}

async function keysById(keys: readonly PublicKey[]): Promise<ReadonlyMap<KeyId, PublicKey>> {
  return new Map(await Promise.all(keys.map(async (key) => [await keyId(key), key] as const)));
}
