/**
 * Where the chunks of one manifest page lie in the origin's packs. Unsigned: repacking changes it and no manifest, and a
 * wrong one only makes a chunk fail its hash. Browsers read it; only the origin writes it.
 *
 *     index = version:varint(1) packs:varint pack:16* chunks:varint place*
 *     place = pack:varint offset:varint stored:varint encoding:varint          encoding: 0 identity, 1 zstd
 */
import { hex } from "./bytes.ts";
import { IdError, type Branded } from "./id.ts";
import {
  CHUNK_BYTES_MAX,
  INTEGER_MAX,
  PACK_INDEX_BYTES_MAX,
  PACK_INDEX_PACKS_MAX,
  PAGE_BYTES_MAX,
} from "./limits.ts";
import { Reader, WireError } from "./wire.ts";

/** Names a pack: 32 hexadecimal digits. */
export type PackId = Branded<string, "PackId">;

/** Where a chunk lies. */
export interface Place {
  /** The pack. */
  readonly pack: PackId;
  /** First byte within the pack. */
  readonly offset: number;
  /** Size as stored, in bytes. */
  readonly stored_bytes: number;
  /** How it is stored. */
  readonly encoding: "identity" | "zstd";
}

/** Places of all chunk positions of one page, in order. */
export interface PackIndex {
  /** One place for each position. */
  readonly places: readonly Place[];
}

const INDEX_VERSION = 1;
const PACK_ID_BYTES = 16;
const PLACES_MAX = Math.floor(PAGE_BYTES_MAX / 33);

/** Reads a pack id. Throws {@link IdError}. */
export function parsePackId(text: string): PackId {
  if (!/^[0-9a-f]{32}$/.test(text)) throw new IdError("hash");
  return text as PackId;
}

/** Reads an index that must have `chunks` places. Throws {@link WireError}. */
export function decodePackIndex(bytes: Uint8Array, chunks: number): PackIndex {
  if (bytes.length > PACK_INDEX_BYTES_MAX) throw new WireError("over-limit", "pack index size");
  const reader = new Reader(bytes);
  if (reader.varint() !== INDEX_VERSION) throw new WireError("invalid", "pack index version");
  const packCount = reader.varintMax(PACK_INDEX_PACKS_MAX, "number of packs");
  const packs = Array.from({ length: packCount }, () => hex(reader.take(PACK_ID_BYTES)) as PackId);
  const count = reader.varintMax(PLACES_MAX, "number of places");
  if (count !== chunks) throw new WireError("invalid", "number of places");
  const places = Array.from({ length: count }, () => readPlace(reader, packs));
  reader.finish();
  return { places };
}

function readPlace(reader: Reader, packs: readonly PackId[]): Place {
  const pack = packs[reader.varint()];
  if (pack === undefined) throw new WireError("invalid", "pack number");
  const offset = reader.varintMax(INTEGER_MAX - CHUNK_BYTES_MAX, "offset");
  const stored_bytes = reader.varintMax(CHUNK_BYTES_MAX, "stored size");
  const encoding = (["identity", "zstd"] as const)[reader.varint()];
  if (encoding === undefined) throw new WireError("invalid", "encoding");
  return { pack, offset, stored_bytes, encoding };
}
