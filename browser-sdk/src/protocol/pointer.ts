/** The channel pointer: which release a channel shows now. Small, signed by an online key, never goes back. */
import { utf8Length } from "./bytes.ts";
import { openDocument, type DocumentCode } from "./document.ts";
import type { DocumentKind } from "./envelope.ts";
import { ProtocolError } from "./error.ts";
import { list, optional, orNone, parsed, record, text, u32, u64, type FormOf } from "./form.ts";
import { parseContentName, parseHash, parseName } from "./id.ts";
import type { PublicKey } from "./key.ts";
import { INTEGER_MAX, PATCHES_MAX, POINTER_BYTES_MAX, URL_BYTES_MAX, URLS_MAX } from "./limits.ts";

/** The pointer's payload type and limit. */
export const POINTER_KIND: DocumentKind = {
  payload_type: "application/vnd.freshet.pointer+json",
  bytes_max: POINTER_BYTES_MAX,
};
/** The schema that this program reads. */
export const POINTER_SCHEMA = 1;

/** Why a pointer was refused; `expired` and `older` mean that no new version is taken from it. */
export type PointerCode = DocumentCode | "expired" | "older";

/** A pointer that was refused. */
export class PointerError extends ProtocolError<PointerCode> {
  constructor(code: PointerCode, subject?: string) {
    super("channel pointer", code, subject);
  }
}

const PATCHES = list(record({ from: parsed(text, parseHash), patch: parsed(text, parseHash) }));
const ROLLOUT = record({
  permille: u32,
  root: parsed(text, parseHash),
  version: parsed(text, parseName),
  patches: PATCHES,
});
const POINTER = record({
  schema: u32,
  content: parsed(text, parseContentName),
  channel: parsed(text, parseName),
  sequence: u64,
  expires: u64,
  root: parsed(text, parseHash),
  version: parsed(text, parseName),
  trackers: orNone(list(text)),
  patches: orNone(PATCHES),
  rollout: optional(ROLLOUT),
});

/**
 * A channel's signed word about its release. `sequence` counts up with each change; `expires` is in Unix seconds, and
 * what is installed stays usable after it; `trackers` are `ws://` or `wss://` addresses; `patches` and `rollout` are of use to
 * nodes.
 */
export type Pointer = FormOf<typeof POINTER>;

/** Opens a signed pointer; whether it is current, {@link checkCurrent} tells. Throws {@link PointerError}. */
export async function openPointer(envelope: Uint8Array, trusted: readonly PublicKey[]): Promise<Pointer> {
  const { value } = await openDocument(POINTER_KIND, POINTER, PointerError, envelope, trusted);
  check(value);
  return value;
}

/**
 * Checks that a client that has seen sequence `seen` (or none) may take a new version from this pointer at `now`, in
 * Unix seconds. Throws {@link PointerError}.
 */
export function checkCurrent(pointer: Pointer, seen: number | undefined, now: number): void {
  if (seen !== undefined && pointer.sequence < seen) throw new PointerError("older", `${pointer.sequence} < ${seen}`);
  if (pointer.expires <= now) throw new PointerError("expired", `at ${pointer.expires}, now ${now}`);
}

function check(pointer: Pointer): void {
  if (pointer.schema !== POINTER_SCHEMA) throw new PointerError("unsupported", `schema ${pointer.schema}`);
  if (pointer.sequence > INTEGER_MAX || pointer.expires > INTEGER_MAX) {
    throw new PointerError("inconsistent", "a number is larger than 2^53-1");
  }
  if (pointer.trackers.length > URLS_MAX || !pointer.trackers.every(isTracker)) {
    throw new PointerError("inconsistent", "at most 8 trackers, ws:// or wss://, of up to 256 bytes");
  }
  const { patches, rollout, root } = pointer;
  if (patches.length + (rollout?.patches.length ?? 0) > PATCHES_MAX) {
    throw new PointerError("inconsistent", "too many patches");
  }
  if (rollout !== undefined && (rollout.permille < 1 || rollout.permille > 999 || rollout.root === root)) {
    throw new PointerError("inconsistent", "a rollout is of another release, to 1 to 999 of 1000");
  }
}

function isTracker(url: string): boolean {
  return utf8Length(url) <= URL_BYTES_MAX && /^wss?:\/\//.test(url);
}
