/**
 * Names and ids. An id is the SHA-256 of what it names, so it can be checked by whoever holds the bytes. Here an id is
 * its text, 64 lowercase hexadecimal digits, so that it compares with `===` and is a key of a Map.
 */
import { hex, unhex, utf8 } from "./bytes.ts";
import { ProtocolError } from "./error.ts";
import { CONTENT_BYTES_MAX, INTEGER_MAX, VERSION_BYTES_MAX } from "./limits.ts";

/** Why a name or id was refused. */
export type IdCode = "hash" | "content-name" | "name" | "peer-id";

/** A name or id that has not its form. */
export class IdError extends ProtocolError<IdCode> {
  constructor(code: IdCode) {
    super("name or id", code);
  }
}

declare const brand: unique symbol;
/** A text or number that was checked to be what `Brand` says. */
export type Branded<Base, Brand extends string> = Base & { readonly [brand]: Brand };

/** A SHA-256 digest. */
export type Hash = Branded<string, "Hash">;
/** Names a chunk: the hash of its bytes as exchanged. */
export type ChunkId = Hash;
/** Names a manifest page: the hash of its plain bytes. */
export type PageId = Hash;
/** Names a release: the hash of its root's payload, whatever signatures surround it. */
export type RootId = Hash;
/** Names a signing key: the hash of the public key's bytes. */
export type KeyId = Hash;
/** Names a swarm. */
export type SwarmId = Hash;
/** What a tenant publishes under a name: `tenant/name`, up to four segments. */
export type ContentName = Branded<string, "ContentName">;
/** A version or channel name, like `1.2.0-rc1` or `live`. */
export type Name = Branded<string, "Name">;
/** What the tracker calls a peer in one swarm. */
export type PeerId = Branded<number, "PeerId">;

/** The hash whose 32 bytes are `bytes`. */
export function hashOfBytes(bytes: Uint8Array): Hash {
  return hex(bytes) as Hash;
}

/** The 32 bytes of a hash. */
export function hashBytes(hash: Hash): Uint8Array<ArrayBuffer> {
  return unhex(hash);
}

/** SHA-256 of `bytes`. */
export async function hashOf(bytes: Uint8Array): Promise<Hash> {
  return hashOfBytes(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>)));
}

/** First four bytes of a hash as a big-endian number: a stable, evenly spread value for cuts and orders. */
export function prefix32(hash: Hash): number {
  return Number.parseInt(hash.slice(0, 8), 16);
}

/** Reads a hash or id. Throws {@link IdError}. */
export function parseHash(text: string): Hash {
  if (!/^[0-9a-f]{64}$/.test(text)) throw new IdError("hash");
  return text as Hash;
}

/** A segment of a content name: none that the origin's paths use themselves. */
const NAME_SEGMENT =
  /^(?!(channels|entries|files|history|index|keys|media|packs|pages|patches|policy|roots|versions)$)[a-z0-9][a-z0-9._-]*$/;

/** Reads a content name. Throws {@link IdError}. */
export function parseContentName(text: string): ContentName {
  const segments = text.split("/");
  const good =
    text.length <= CONTENT_BYTES_MAX &&
    segments.length >= 2 &&
    segments.length <= 4 &&
    segments.every((segment) => NAME_SEGMENT.test(segment));
  if (!good) throw new IdError("content-name");
  return text as ContentName;
}

/** The tenant of a content: its first segment. */
export function tenantOf(content: ContentName): string {
  return content.slice(0, content.indexOf("/"));
}

/** The swarm of a content, all its releases together. */
export function swarmOfContent(content: ContentName): Promise<SwarmId> {
  return hashOf(utf8(`freshet content swarm\n${content}`));
}

/** Reads a version or channel name. Throws {@link IdError}. */
export function parseName(text: string): Name {
  if (text.length > VERSION_BYTES_MAX || !/^[A-Za-z0-9][A-Za-z0-9._+-]*$/.test(text)) throw new IdError("name");
  return text as Name;
}

/** Checks a peer id. Throws {@link IdError}. */
export function parsePeerId(value: number): PeerId {
  if (!Number.isInteger(value) || value < 0 || value > INTEGER_MAX) throw new IdError("peer-id");
  return value as PeerId;
}

/** A peer id as people see it: 14 hexadecimal digits. */
export function peerIdText(peer: PeerId): string {
  return peer.toString(16).padStart(14, "0");
}
