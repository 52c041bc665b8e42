/**
 * Tickets: a tracker's short-lived word that the owner of a key may take part in swarms (PROTOCOL.md 6). Browsers read
 * them and hand on their own; only trackers write them.
 *
 *     ticket = version:varint(1) peer key:32 issued expires rights:varint count:varint swarm:32*
 *              tracker-key-id:32 signature:64
 */
import { concat, utf8 } from "./bytes.ts";
import { ProtocolError } from "./error.ts";
import { hashBytes, parsePeerId, type Hash, type KeyId, type PeerId, type SwarmId } from "./id.ts";
import { isSigned, keyId, type PublicKey } from "./key.ts";
import { TICKET_BYTES_MAX, TICKET_SWARMS_MAX } from "./limits.ts";
import { Reader, WireError, type WireCode } from "./wire.ts";

/** May ask others for chunks. */
export const RIGHT_RECEIVE = 1;
/** May hand chunks to others. */
export const RIGHT_SEND = 2;

/** Why a ticket was refused. */
export type TicketCode = WireCode | "unsupported" | "untrusted" | "expired" | "other-key" | "other-swarm";

/** A ticket that was refused. */
export class TicketError extends ProtocolError<TicketCode> {
  constructor(code: TicketCode, subject?: string) {
    super("ticket", code, subject);
  }
}

/** A ticket's content. */
export interface Ticket {
  /** What the tracker calls the peer. */
  readonly peer: PeerId;
  /** The key that the peer must prove to hold. */
  readonly key: KeyId;
  /** When it was issued, Unix seconds. */
  readonly issued: number;
  /** End of its life, Unix seconds. */
  readonly expires: number;
  /** Sum of `RIGHT_*`; unknown bits give no right. */
  readonly rights: number;
  /** Where it is good for. */
  readonly swarms: readonly SwarmId[];
}

/** Where and when a ticket must be good. */
export interface TicketUse {
  /** The key that the peer has proved to hold. */
  readonly key: PublicKey;
  /** The swarm of the link. */
  readonly swarm: SwarmId;
  /** The reader's time, Unix seconds. */
  readonly now: number;
  /** For how long after its expiry a ticket opens links, in seconds. */
  readonly grace: number;
}

const TICKET_VERSION = 1;
const SIGNED_PREFIX = utf8("freshet ticket 1\n");
const SIGNATURE_BYTES = 64;

interface Parsed {
  readonly ticket: Ticket;
  readonly signer: KeyId;
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
}

/** Reads a ticket signed by one of `trackers`; its fit for a link, {@link checkTicket} tells. Throws {@link TicketError}. */
export async function openTicket(bytes: Uint8Array, trackers: readonly PublicKey[]): Promise<Ticket> {
  const { ticket, signer, signed, signature } = parse(bytes);
  const ids = await Promise.all(trackers.map(keyId));
  const tracker = trackers[ids.indexOf(signer)];
  if (tracker === undefined || !(await isSigned(tracker, concat(SIGNED_PREFIX, signed), signature))) {
    throw new TicketError("untrusted");
  }
  return ticket;
}

/** Checks that a link may be opened with the ticket. Throws {@link TicketError}. */
export async function checkTicket(ticket: Ticket, use: TicketUse): Promise<void> {
  if (ticket.key !== (await keyId(use.key))) throw new TicketError("other-key");
  if (!ticket.swarms.includes(use.swarm)) throw new TicketError("other-swarm");
  if (ticket.expires + use.grace <= use.now) throw new TicketError("expired", `at ${ticket.expires}, now ${use.now}`);
}

function parse(bytes: Uint8Array): Parsed {
  try {
    return read(bytes);
  } catch (error) {
    if (error instanceof WireError) throw new TicketError(error.code, error.subject);
    throw error;
  }
}

function read(bytes: Uint8Array): Parsed {
  if (bytes.length > TICKET_BYTES_MAX) throw new WireError("over-limit", "ticket size");
  const reader = new Reader(bytes);
  const version = reader.varint();
  if (version !== TICKET_VERSION) throw new TicketError("unsupported", `version ${version}`);
  const peer = parsePeerId(reader.varint());
  const key = reader.hash();
  const issued = reader.varint();
  const expires = reader.varint();
  const rights = reader.varint();
  const count = reader.varintMax(TICKET_SWARMS_MAX, "number of swarms");
  const swarms = Array.from({ length: count }, () => reader.hash());
  const signer = reader.hash();
  const signed = bytes.subarray(0, reader.position);
  const signature = reader.take(SIGNATURE_BYTES);
  reader.finish();
  return { ticket: { peer, key, issued, expires, rights, swarms }, signer, signed, signature };
}

/** The side that a peer has on a link: it opened the connection, or accepted it. */
export type Side = "dialer" | "acceptor";

/** What both sides of a link know and sign, so that a stolen ticket or a relayed Hello is worthless. */
export interface LinkBinding {
  /** Hash of the dialer's certificate or DTLS fingerprint; zero where its transport has none (WebTransport). */
  readonly dialer: Hash;
  /** Hash of the acceptor's certificate or DTLS fingerprint. */
  readonly acceptor: Hash;
}

/** The nonces of both sides of a link, 32 bytes each. */
export interface Nonces {
  /** From the other's Hello. */
  readonly theirs: Uint8Array;
  /** From the own Hello. */
  readonly own: Uint8Array;
}

/** What the peer on `side` signs in its Proof: the other's nonce, its own nonce, and both ends of the channel. */
export function proofMessage(side: Side, nonces: Nonces, binding: LinkBinding): Uint8Array<ArrayBuffer> {
  const head = utf8(`freshet proof 1\n${side}\n`);
  return concat(head, nonces.theirs, nonces.own, hashBytes(binding.dialer), hashBytes(binding.acceptor));
}
