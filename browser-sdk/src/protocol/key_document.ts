/** The tenant's key document: which keys may sign what, signed by the tenant's own key that clients pin. */
import { openDocument, type DocumentCode } from "./document.ts";
import type { DocumentKind } from "./envelope.ts";
import { ProtocolError } from "./error.ts";
import { list, optional, parsed, record, text, u32, u64, word, type FormOf } from "./form.ts";
import { parsePublicKey, type PublicKey } from "./key.ts";
import { INTEGER_MAX, KEY_DOCUMENT_BYTES_MAX, KEYS_MAX } from "./limits.ts";

/** The key document's payload type and limit. */
export const KEY_DOCUMENT_KIND: DocumentKind = {
  payload_type: "application/vnd.freshet.keys+json",
  bytes_max: KEY_DOCUMENT_BYTES_MAX,
};
/** The schema that this program reads. */
export const KEY_DOCUMENT_SCHEMA = 1;

/** A key document that was refused. */
export class KeyDocumentError extends ProtocolError<DocumentCode> {
  constructor(code: DocumentCode, subject?: string) {
    super("key document", code, subject);
  }
}

const ROLE = word("pointer", "root", "tracker", "stream");
const GRANT = record({ key: parsed(text, parsePublicKey), roles: list(ROLE), expires: optional(u64) });
const KEY_DOCUMENT = record({ schema: u32, tenant: text, sequence: u64, keys: list(GRANT) });

/**
 * What a key may sign: channel pointers, roots, tickets, or entries of streams. `unknown` is of a later version and
 * gives no right.
 */
export type Role = FormOf<typeof ROLE>;
/** A key and what it may sign; `expires` in Unix seconds. What it signed of releases and streams stays good. */
export type Grant = FormOf<typeof GRANT>;
/** All grants of a tenant. */
export type KeyDocument = FormOf<typeof KEY_DOCUMENT>;

/** Opens a document that must be signed by the pinned `tenantKey`. Throws {@link KeyDocumentError}. */
export async function openKeyDocument(envelope: Uint8Array, tenantKey: PublicKey): Promise<KeyDocument> {
  const { value } = await openDocument(KEY_DOCUMENT_KIND, KEY_DOCUMENT, KeyDocumentError, envelope, [tenantKey]);
  check(value);
  return value;
}

/** Keys that may sign as `role` at `now`, in Unix seconds. */
export function keysFor(document: KeyDocument, role: Exclude<Role, "unknown">, now: number): readonly PublicKey[] {
  const isLasting = role === "root" || role === "stream";
  const isLive = ({ expires }: Grant) => isLasting || expires === undefined || now < expires;
  return document.keys.filter((grant) => grant.roles.includes(role) && isLive(grant)).map((grant) => grant.key);
}

function check(document: KeyDocument): void {
  const { schema, sequence, keys } = document;
  if (schema !== KEY_DOCUMENT_SCHEMA) throw new KeyDocumentError("unsupported", `schema ${schema}`);
  if (keys.length > KEYS_MAX) throw new KeyDocumentError("inconsistent", "too many keys");
  if (sequence > INTEGER_MAX) throw new KeyDocumentError("inconsistent", "sequence is larger than 2^53-1");
  if (keys.some(({ expires = 0 }) => expires > INTEGER_MAX)) {
    throw new KeyDocumentError("inconsistent", "an expiry is larger than 2^53-1");
  }
}
