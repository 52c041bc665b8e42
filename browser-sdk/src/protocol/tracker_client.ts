/** Messages of a client to its tracker (PROTOCOL.md 8). */
import { base64, flag, FormError, list, optional, orNone, record, tagged, text, u32, u64, u8, word, type Form, type FormOf } from "./form.ts";
import { isObject } from "./json.ts";
import {
  ADDRESS_PROOF_BYTES,
  AGENT_BYTES_MAX,
  CHUNKS_MAX,
  INTEGER_MAX,
  LINKS_WANTED_MAX,
  LOCAL_MAX,
  MAPPED_MAX,
  SHARDS_MAX,
  SHARDS_PER_MESSAGE_MAX,
  TRACKER_MESSAGE_BYTES_MAX,
} from "./limits.ts";
import { address, candidates, certificates, content, ENTRY, hash, limited, pair, publicKey, readMessage, shards, SIGNAL } from "./tracker.ts";

/** Which shards of a release a peer holds whole: none, all, or one bit a shard, lowest bit of the first byte first. */
export type HaveSummary = "none" | "all" | { readonly shards: Uint8Array };

const SHARDS = record({ shards: limited(base64, Math.ceil(SHARDS_MAX / 8), "have summary") });
const HAVE_SUMMARY: Form<HaveSummary> = {
  read: (value) => {
    if (value === "none" || value === "all") return value;
    if (!isObject(value) || Object.keys(value).length !== 1) throw new FormError("a summary of shards");
    return SHARDS.read(value);
  },
};

const MAPPED = record({
  address,
  nat: word("open", "address-restricted", "port-restricted", "symmetric"),
  proof: limited(base64, ADDRESS_PROOF_BYTES, "proof of an address"),
});

const ANNOUNCE = record({
  content,
  root: hash,
  chunks: limited(u32, CHUNKS_MAX, "number of chunks"),
  have: HAVE_SUMMARY,
  left_bytes: limited(u64, INTEGER_MAX, "bytes left"),
  sharing: flag,
  links: u8,
  links_wanted: limited(u8, LINKS_WANTED_MAX, "number of links wanted"),
  candidates: orNone(candidates),
  mapped: optional(limited(list(MAPPED), MAPPED_MAX, "number of mapped addresses")),
  local: optional(limited(list(address), LOCAL_MAX, "number of local addresses")),
  certificates,
});

const CLIENT = tagged({
  hello: record({
    version_min: u32,
    version_max: u32,
    key: publicKey,
    proof: limited(base64, 64, "proof"),
    agent: limited(text, AGENT_BYTES_MAX, "agent"),
    token: optional(limited(text, TRACKER_MESSAGE_BYTES_MAX / 2, "token")),
  }),
  announce: ANNOUNCE,
  leave: record({ content }),
  lease: record({
    content,
    root: hash,
    want: limited(u32, SHARDS_PER_MESSAGE_MAX, "number of shards"),
    done: orNone(shards),
  }),
  signal: SIGNAL,
  entry: ENTRY,
  paired: record({ pair, outcome: word("linked", "failed", "closed") }),
});

/** What a client says. */
export type ClientMessage = FormOf<typeof CLIENT>;
/** What a client says about itself in one swarm; sent at first and whenever something of it changes. */
export type Announce = Extract<ClientMessage, { readonly type: "announce" }>;

/** Reads a client's message and checks its limits. Throws {@link TrackerMessageError}. */
export function decodeClientMessage(json: string): ClientMessage {
  return readMessage(json, CLIENT);
}
