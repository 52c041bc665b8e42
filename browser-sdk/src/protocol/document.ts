/** What roots, channel pointers and key documents share: a signed payload of a known form and schema. */
import { textOf } from "./bytes.ts";
import { EnvelopeError, openEnvelope, type DocumentKind, type EnvelopeCode } from "./envelope.ts";
import type { ProtocolError } from "./error.ts";
import { FormError, readJson, type Form } from "./form.ts";
import type { PublicKey } from "./key.ts";

/** Why any document may be refused; each kind adds its own. */
export type DocumentCode = EnvelopeCode | "unsupported" | "inconsistent";

/** Makes the error of one kind of document. */
type ErrorOf<Code extends string> = new (code: Code | DocumentCode, subject?: string) => ProtocolError;

/**
 * Opens an envelope of `kind` and reads its payload as `form`; faults are thrown as `Fault`. What the values say is for
 * the caller to check.
 */
export async function openDocument<T, Code extends string>(
  kind: DocumentKind,
  form: Form<T>,
  Fault: ErrorOf<Code>,
  envelope: Uint8Array,
  trusted: readonly PublicKey[],
): Promise<{ readonly payload: Uint8Array<ArrayBuffer>; readonly value: T }> {
  try {
    const payload = await openEnvelope(kind, envelope, trusted);
    return { payload, value: readJson(textOf(payload), form) };
  } catch (error) {
    if (error instanceof EnvelopeError) throw new Fault(error.code, error.subject);
    if (error instanceof FormError) throw new Fault("malformed", error.subject);
    throw error;
  }
}
