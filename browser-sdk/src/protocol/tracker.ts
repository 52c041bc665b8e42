/**
 * Messages of a tracker to its clients, and what both ways have in common: JSON over WebSocket, one object a message
 * (PROTOCOL.md 8).
 *
 * Unknown fields are ignored and unknown message types become `{ type: "unknown" }`, so old and new talk.
 */
import { encodeBase64, STANDARD } from "./base64.ts";
import { concat, utf8, utf8Length } from "./bytes.ts";
import { ProtocolError } from "./error.ts";
import {
  base64,
  flag,
  FormError,
  list,
  optional,
  parsed,
  readJson,
  record,
  tagged,
  text,
  u16,
  u32,
  u64,
  word,
  type Form,
  type FormOf,
} from "./form.ts";
import { parseContentName, parseHash, parsePeerId } from "./id.ts";
import { parsePublicKey } from "./key.ts";
import {
  ADDRESSES_MAX,
  CERTIFICATES_MAX,
  HOST_BYTES_MAX,
  INTEGER_MAX,
  PUSHED_ENTRY_BYTES_MAX,
  SHARDS_MAX,
  SHARDS_PER_MESSAGE_MAX,
  SIGNAL_BYTES_MAX,
  TICKET_BYTES_MAX,
  TRACKER_MESSAGE_BYTES_MAX,
} from "./limits.ts";
import { parseSocketAddress } from "./socket_address.ts";
import type { ClientMessage } from "./tracker_client.ts";

/** The version of these messages that this program speaks. */
export const TRACKER_VERSION = 1;

/** Why a message was refused. */
export type TrackerMessageCode = "too-long" | "malformed" | "over-limit";

/** A message that was refused; `subject` names the field that is over its limit. */
export class TrackerMessageError extends ProtocolError<TrackerMessageCode> {
  constructor(code: TrackerMessageCode, subject?: string) {
    super("tracker message", code, subject);
  }
}

/** A number of at most `max`, or something of at most so many bytes or items; `what` names it in the error. */
export function limited<T extends number | string | { readonly length: number }>(
  form: Form<T>,
  max: number,
  what: string,
): Form<T> {
  return {
    ...form,
    read: (value) => {
      const given = form.read(value);
      const size = typeof given === "string" ? utf8Length(given) : typeof given === "number" ? given : given.length;
      if (size > max) throw new TrackerMessageError("over-limit", what);
      return given;
    },
  };
}

// Fields that both ways have.
export const content = parsed(text, parseContentName);
export const hash = parsed(text, parseHash);
export const publicKey = parsed(text, parsePublicKey);
export const pair = limited(u64, INTEGER_MAX, "pair number");
export const shards = limited(list(limited(u32, SHARDS_MAX - 1, "shard")), SHARDS_PER_MESSAGE_MAX, "number of shards");
export const certificates = optional(limited(list(hash), CERTIFICATES_MAX, "number of certificates"));
const peer = parsed(u64, parsePeerId);
export const address = parsed(text, parseSocketAddress);

const CANDIDATE = record({ transport: word("quic", "web-transport", "web-rtc"), address });
export const candidates = limited(list(CANDIDATE), ADDRESSES_MAX, "number of candidates");
export const SIGNAL = record({ pair, data: limited(text, SIGNAL_BYTES_MAX, "signal") });
export const ENTRY = record({ content, entry: limited(base64, PUSHED_ENTRY_BYTES_MAX, "entry size") });

/** An address at which a peer may be reached, and how. */
export type Candidate = FormOf<typeof CANDIDATE>;
/** How a peer can be reached; `unknown` is one of a later version. */
export type Transport = Candidate["transport"];

const SERVER = tagged({
  challenge: record({ nonce: limited(base64, 64, "nonce") }),
  welcome: record({
    version: u32,
    peer,
    tracker_key: publicKey,
    address,
    stun_ports: limited(list(u16), 2, "number of STUN ports"),
    stun_host: optional(limited(text, HOST_BYTES_MAX, "STUN host")),
    announce_ms: u32,
  }),
  ticket: record({ ticket: limited(base64, TICKET_BYTES_MAX, "ticket"), expires: limited(u64, INTEGER_MAX, "expires") }),
  pair: record({
    pair,
    content,
    peer,
    key: hash,
    candidates,
    certificates,
    dial: flag,
    locality: word("same-address", "same-as", "same-country", "any"),
    random: flag,
  }),
  shards: record({
    content,
    root: hash,
    granted: shards,
    active_jobs: u32,
    origin_budget_bytes_s: optional(limited(u64, INTEGER_MAX, "origin budget")),
  }),
  entry: ENTRY,
  signal: SIGNAL,
  drain: record({ reconnect_ms: u32 }),
  error: record({ code: text, message: text }),
});

/** What a tracker says. */
export type ServerMessage = FormOf<typeof SERVER>;

/** What a client signs to prove to its tracker that it holds its key. */
export function trackerProofMessage(challenge: Uint8Array): Uint8Array<ArrayBuffer> {
  return concat(utf8("freshet tracker proof 1\n"), challenge);
}

/** The JSON of a message. */
export function encodeMessage(message: ClientMessage | ServerMessage): string {
  return JSON.stringify(message, (_, value: unknown) => (value instanceof Uint8Array ? encodeBase64(value, STANDARD) : value));
}

/** Reads a tracker's message and checks its limits. Throws {@link TrackerMessageError}. */
export function decodeServerMessage(json: string): ServerMessage {
  return readMessage(json, SERVER);
}

/** Reads a message of a form. Throws {@link TrackerMessageError}. */
export function readMessage<T>(json: string, form: Form<T>): T {
  if (utf8Length(json) > TRACKER_MESSAGE_BYTES_MAX) throw new TrackerMessageError("too-long");
  try {
    return readJson(json, form);
  } catch (error) {
    if (error instanceof FormError) throw new TrackerMessageError("malformed", error.subject);
    throw error;
  }
}
