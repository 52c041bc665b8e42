/**
 * Messages between a client and its tracker: JSON over WebSocket, one object a message (PROTOCOL.md 8).
 *
 * Unknown fields are ignored and unknown message types become `{ type: "unknown" }`, so old and new talk.
 */
import { concat, textOf, utf8, utf8Length } from "./bytes.ts";
import { ProtocolError } from "./error.ts";
import {
  base64,
  flag,
  FormError,
  list,
  listOrNone,
  listOrLeftOut,
  optional,
  parsed,
  readJson,
  record,
  tagged,
  text,
  u16,
  u32,
  u64,
  u8,
  word,
  writeJson,
  type Form,
  type FormOf,
} from "./form.ts";
import { parseContentName, parseHash, parsePeerId } from "./id.ts";
import { JsonObject } from "./json.ts";
import { parsePublicKey } from "./key.ts";
import {
  ADDRESSES_MAX,
  AGENT_BYTES_MAX,
  CERTIFICATES_MAX,
  CHUNKS_MAX,
  HOST_BYTES_MAX,
  INTEGER_MAX,
  LINKS_WANTED_MAX,
  PUSHED_ENTRY_BYTES_MAX,
  SHARDS_MAX,
  SHARDS_PER_MESSAGE_MAX,
  SIGNAL_BYTES_MAX,
  TICKET_BYTES_MAX,
  TRACKER_MESSAGE_BYTES_MAX,
} from "./limits.ts";
import { parseSocketAddress } from "./socket_address.ts";

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

/** Which shards of a release a peer holds whole: none, all, or one bit a shard, lowest bit of the first byte first. */
export type HaveSummary = "none" | "all" | { readonly shards: Uint8Array };

const SHARDS = record({ shards: base64 });
const HAVE_SUMMARY: Form<HaveSummary> = {
  read: (value) => {
    if (value === "none" || value === "all") return value;
    const isOneForm = value instanceof JsonObject && value.fields.size === 1;
    if (!isOneForm) throw new FormError("a summary of shards");
    return SHARDS.read(value);
  },
  write: (value) => (typeof value === "string" ? value : SHARDS.write(value)),
};
const content = parsed(text, parseContentName);
const hash = parsed(text, parseHash);
const publicKey = parsed(text, parsePublicKey);
const peer = parsed(u64, parsePeerId);
const address = parsed(text, parseSocketAddress);

const CANDIDATE = record({ transport: word("quic", "web-transport", "web-rtc"), address });
const ANNOUNCE = record({
  content,
  root: hash,
  chunks: u32,
  have: HAVE_SUMMARY,
  left_bytes: u64,
  sharing: flag,
  links: u8,
  links_wanted: u8,
  candidates: listOrNone(CANDIDATE),
  certificates: listOrLeftOut(hash),
});

/** An address at which a peer may be reached, and how. */
export type Candidate = FormOf<typeof CANDIDATE>;
/** How a peer can be reached; `unknown` is one of a later version. */
export type Transport = Candidate["transport"];

const CLIENT = tagged({
  hello: record({
    version_min: u32,
    version_max: u32,
    key: publicKey,
    proof: base64,
    agent: text,
    token: optional(text),
  }),
  announce: ANNOUNCE,
  leave: record({ content }),
  lease: record({ content, root: hash, want: u32, done: listOrNone(u32) }),
  signal: record({ pair: u64, data: text }),
  entry: record({ content, entry: base64 }),
  paired: record({ pair: u64, outcome: word("linked", "failed", "closed") }),
});

const SERVER = tagged({
  challenge: record({ nonce: base64 }),
  welcome: record({
    version: u32,
    peer,
    tracker_key: publicKey,
    address,
    stun_ports: list(u16),
    stun_host: optional(text),
    announce_ms: u32,
  }),
  ticket: record({ ticket: base64, expires: u64 }),
  pair: record({
    pair: u64,
    content,
    peer,
    key: hash,
    candidates: list(CANDIDATE),
    certificates: listOrLeftOut(hash),
    dial: flag,
    locality: word("same-address", "same-as", "same-country", "any"),
    random: flag,
  }),
  shards: record({
    content,
    root: hash,
    granted: list(u32),
    active_jobs: u32,
    origin_budget_bytes_s: optional(u64),
  }),
  entry: record({ content, entry: base64 }),
  signal: record({ pair: u64, data: text }),
  drain: record({ reconnect_ms: u32 }),
  error: record({ code: text, message: text }),
});

/** What a client says. */
export type ClientMessage = FormOf<typeof CLIENT>;
/** What a client says about itself in one swarm; sent at first and whenever something of it changes. */
export type Announce = Extract<ClientMessage, { readonly type: "announce" }>;
/** What a tracker says. */
export type ServerMessage = FormOf<typeof SERVER>;

/** What a client signs to prove to its tracker that it holds its key. */
export function trackerProofMessage(challenge: Uint8Array): Uint8Array<ArrayBuffer> {
  return concat(utf8("freshet tracker proof 1\n"), challenge);
}

/** The JSON of a client's message. */
export function encodeClientMessage(message: ClientMessage): string {
  return writeJson(message, CLIENT);
}

/** The JSON of a tracker's message. */
export function encodeServerMessage(message: ServerMessage): string {
  return writeJson(message, SERVER);
}

/** Reads a client's message and checks its limits. Throws {@link TrackerMessageError}. */
export function decodeClientMessage(bytes: Uint8Array): ClientMessage {
  const message = readMessage(bytes, CLIENT);
  switch (message.type) {
    case "hello":
      limit(utf8Length(message.agent), AGENT_BYTES_MAX, "agent");
      limit(message.proof.length, 64, "proof");
      limit(utf8Length(message.token ?? ""), TRACKER_MESSAGE_BYTES_MAX / 2, "token");
      break;
    case "announce":
      limitAnnounce(message);
      break;
    case "lease":
      limit(message.want, SHARDS_PER_MESSAGE_MAX, "number of shards");
      limitShards(message.done);
      break;
    case "signal":
      limitSignal(message);
      break;
    case "paired":
      limit(message.pair, INTEGER_MAX, "pair number");
      break;
    case "entry":
      limit(message.entry.length, PUSHED_ENTRY_BYTES_MAX, "entry size");
      break;
    case "leave":
    case "unknown":
  }
  return message;
}

/** Reads a tracker's message and checks its limits. Throws {@link TrackerMessageError}. */
export function decodeServerMessage(bytes: Uint8Array): ServerMessage {
  const message = readMessage(bytes, SERVER);
  switch (message.type) {
    case "challenge":
      limit(message.nonce.length, 64, "nonce");
      break;
    case "welcome":
      limit(message.stun_ports.length, 2, "number of STUN ports");
      limit(utf8Length(message.stun_host ?? ""), HOST_BYTES_MAX, "STUN host");
      break;
    case "ticket":
      limit(message.expires, INTEGER_MAX, "expires");
      limit(message.ticket.length, TICKET_BYTES_MAX, "ticket");
      break;
    case "pair":
      limit(message.pair, INTEGER_MAX, "pair number");
      limit(message.candidates.length, ADDRESSES_MAX, "number of candidates");
      limit(message.certificates.length, CERTIFICATES_MAX, "number of certificates");
      break;
    case "shards":
      limit(message.origin_budget_bytes_s ?? 0, INTEGER_MAX, "origin budget");
      limitShards(message.granted);
      break;
    case "signal":
      limitSignal(message);
      break;
    case "entry":
      limit(message.entry.length, PUSHED_ENTRY_BYTES_MAX, "entry size");
      break;
    case "drain":
    case "error":
    case "unknown":
  }
  return message;
}

function readMessage<T>(bytes: Uint8Array, form: Form<T>): T {
  if (bytes.length > TRACKER_MESSAGE_BYTES_MAX) throw new TrackerMessageError("too-long");
  try {
    return readJson(textOf(bytes), form);
  } catch (error) {
    if (error instanceof FormError) throw new TrackerMessageError("malformed", error.subject);
    throw error;
  }
}

function limit(value: number, max: number, what: string): void {
  if (value > max) throw new TrackerMessageError("over-limit", what);
}

function limitAnnounce(announce: Announce): void {
  limit(announce.chunks, CHUNKS_MAX, "number of chunks");
  limit(announce.candidates.length, ADDRESSES_MAX, "number of candidates");
  limit(announce.certificates.length, CERTIFICATES_MAX, "number of certificates");
  limit(announce.left_bytes, INTEGER_MAX, "bytes left");
  limit(announce.links_wanted, LINKS_WANTED_MAX, "number of links wanted");
  if (typeof announce.have !== "string") limit(announce.have.shards.length, Math.ceil(SHARDS_MAX / 8), "have summary");
}

function limitShards(shards: readonly number[]): void {
  limit(shards.length, SHARDS_PER_MESSAGE_MAX, "number of shards");
  limit(Math.max(0, ...shards), SHARDS_MAX - 1, "shard");
}

function limitSignal({ pair, data }: { readonly pair: number; readonly data: string }): void {
  limit(pair, INTEGER_MAX, "pair number");
  limit(utf8Length(data), SIGNAL_BYTES_MAX, "signal");
}
