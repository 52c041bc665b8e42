/** How each vector file is judged: the same as `judge` in `protocol/tests/vectors/*.rs`. */
import { hex, textOf, unhex, utf8 } from "../src/protocol/bytes.ts";
import { decodeEntryPage } from "../src/protocol/entry_page.ts";
import { decodeFrame, encodeFrame } from "../src/protocol/frame.ts";
import {
  hashOf,
  IdError,
  parseContentName,
  parseHash,
  parseName,
  parsePeerId,
  peerIdText,
  prefix32,
  swarmOfContent,
  tenantOf,
} from "../src/protocol/id.ts";
import {
  keyId,
  parsePublicKey,
  publicKeyBytes,
  SigningKey,
  verify,
  withEd25519,
  type PublicKey,
} from "../src/protocol/key.ts";
import { keysFor, openKeyDocument, type Role } from "../src/protocol/key_document.ts";
import { decodePage, encodePage, openPage } from "../src/protocol/manifest/page.ts";
import { openRoot, openRootAs, type PageRef } from "../src/protocol/manifest/root.ts";
import { decodePackIndex, parsePackId, type PackIndex } from "../src/protocol/pack_index.ts";
import { checkLinkTarget, folded, parentsOf, parsePath } from "../src/protocol/path.ts";
import { checkCurrent, openPointer } from "../src/protocol/pointer.ts";
import { openSegment } from "../src/protocol/segment.ts";
import { ShardMap } from "../src/protocol/shard.ts";
import { checkTicket, openTicket, proofMessage, type Side } from "../src/protocol/ticket.ts";
import {
  decodeServerMessage,
  encodeMessage,
  trackerProofMessage,
} from "../src/protocol/tracker.ts";
import { decodeClientMessage } from "../src/protocol/tracker_client.ts";
import { Reader, WireError, Writer } from "../src/protocol/wire.ts";
import { bytesOf, given, TestFault, type Case, type Judged } from "./vector.ts";

type Judge = (bytes: Uint8Array<ArrayBuffer>, test: Case) => Judged | Promise<Judged>;

/** The judge of each vector file. */
export const JUDGES: Readonly<Record<string, Judge>> = {
  varint: (bytes) => {
    const reader = new Reader(bytes);
    const value = reader.varint();
    reader.finish();
    return { fields: { value }, again: new Writer().varint(value).finish() };
  },
  hash: async (bytes, test) => {
    if (test.text !== undefined) return { fields: { prefix32: prefix32(parseHash(test.text)) }, again: bytes };
    const sha256 = await hashOf(bytes);
    return { fields: { sha256, prefix32: prefix32(sha256) } };
  },
  name: (bytes, test) => judgeName(textOf(bytes) as string, given(test, "form")),
  key: judgeKey,
  envelope: async (bytes, test) => ({ fields: { sequence: (await openPointer(bytes, trusted(test))).sequence } }),
  root: async (bytes, test) => {
    const { id, root } = await openRoot(bytes, trusted(test));
    if (test["wanted"] !== undefined) await openRootAs(parseHash(given(test, "wanted")), bytes, trusted(test));
    const { requires, parts, ...known } = root;
    return { fields: { id, root: requires.length + parts.length === 0 ? known : root } };
  },
  entry_page: (bytes) => ({ fields: { entries: decodeEntryPage(bytes).map(hex) } }),
  page: async (bytes, test) => {
    const page = test["page"] === undefined ? decodePage(bytes) : await openPage(given<PageRef>(test, "page"), bytes);
    return { fields: page, again: encodePage(page) };
  },
  pointer: async (bytes, test) => {
    const pointer = await openPointer(bytes, trusted(test));
    if (test["now"] !== undefined) checkCurrent(pointer, test["seen"] as number | undefined, given(test, "now"));
    const { patches, rollout, ...known } = pointer;
    return {
      fields: { ...known, ...(patches.length > 0 && { patches }), ...(rollout !== undefined && { rollout }) },
    };
  },
  key_document: async (bytes, test) => {
    const [tenant] = trusted(test);
    const document = await openKeyDocument(bytes, tenant as PublicKey);
    const keys = (role: Exclude<Role, "unknown">) => keysFor(document, role, given(test, "now"));
    const [pointer, root, tracker, stream] = (["pointer", "root", "tracker", "stream"] as const).map(keys);
    return { fields: { document, pointer, root, tracker, stream } };
  },
  ticket: async (bytes, test) => {
    const ticket = await openTicket(bytes, given<string[]>(test, "trackers").map(parsePublicKey));
    if (test["key"] !== undefined) {
      const key = parsePublicKey(given(test, "key"));
      const swarm = parseHash(given(test, "swarm"));
      await checkTicket(ticket, { key, swarm, now: given(test, "now"), grace: given(test, "grace") });
    }
    return { fields: ticket };
  },
  segment: async (bytes, test) => ({
    fields: await openSegment(bytes, parseContentName(given(test, "stream")), trusted(test)),
  }),
  pack_index: (bytes, test) => {
    const index = decodePackIndex(bytes, given(test, "chunks"));
    return { fields: index, again: encodePackIndex(index) };
  },
  frame: (bytes) => {
    const decoded = decodeFrame(bytes);
    if (decoded === undefined) throw new TestFault("incomplete");
    const { frame, length } = decoded;
    if (length < bytes.length) throw new WireError("trailing");
    return { fields: plain(frame), again: frame.type === "skipped" ? undefined : encodeFrame(frame) };
  },
  client_message: (bytes) => {
    const json = encodeMessage(decodeClientMessage(textOf(bytes) ?? ""));
    return { fields: JSON.parse(json), again: utf8(json) };
  },
  server_message: (bytes) => {
    const json = encodeMessage(decodeServerMessage(textOf(bytes) ?? ""));
    return { fields: JSON.parse(json), again: utf8(json) };
  },
  path: (bytes) => {
    const path = parsePath(textOf(bytes) as string);
    return { fields: { parents: parentsOf(path), folded: folded(path) }, again: utf8(path) };
  },
};

/** The judges of files whose cases have other inputs than bytes. */
export const VALUE_JUDGES: Readonly<Record<string, (test: Case) => Judged | Promise<Judged>>> = {
  proof: async (test) => {
    const message = proofMessageOf(test);
    await verify(parsePublicKey(given(test, "key")), message, unhex(given(test, "signature")));
    return { fields: { message: hex(message) } };
  },
  shard: (test) => {
    const map = new ShardMap(given(test, "chunks"));
    const { start, end } = map.positions(given(test, "shard"));
    if (start === end) throw new TestFault("no-such-shard");
    return { fields: { count: map.count, start, end, shard_of_last: map.shardOf(end - 1) } };
  },
  link_target: (test) => {
    checkLinkTarget(parsePath(given(test, "link")), given(test, "text"));
    return { fields: {} };
  },
};

/** Judges a case of a file. */
export async function judge(file: string, test: Case): Promise<Judged> {
  const bytes = JUDGES[file];
  const value = VALUE_JUDGES[file];
  if (bytes) return bytes(bytesOf(test), test);
  if (value) return value(test);
  throw new Error(`${file} has no judge`);
}

function trusted(test: Case): readonly PublicKey[] {
  return given<string[]>(test, "trusted").map(parsePublicKey);
}

/** A value as JSON shows it: bytes as hexadecimal text. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return hex(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]));
}

async function judgeName(text: string, form: string): Promise<Judged> {
  switch (form) {
    case "content": {
      const content = parseContentName(text);
      return { fields: { tenant: tenantOf(content), swarm: await swarmOfContent(content) }, again: utf8(content) };
    }
    case "name":
      return { fields: {}, again: utf8(parseName(text)) };
    case "pack":
      return { fields: {}, again: utf8(parsePackId(text)) };
    case "peer":
      return { fields: { text: peerIdText(parsePeerId(Number(text))) } };
    default:
      throw new IdError("name");
  }
}

/** The origin's writer, which browsers have no use for. */
function encodePackIndex({ places }: PackIndex): Uint8Array {
  const packs = [...new Set(places.map((place) => place.pack))].sort();
  const out = new Writer().varint(1).varint(packs.length).raw(unhex(packs.join(""))).varint(places.length);
  for (const { pack, offset, stored_bytes, encoding } of places) {
    out.varint(packs.indexOf(pack)).varint(offset).varint(stored_bytes).varint(encoding === "zstd" ? 1 : 0);
  }
  return out.finish();
}

/** PKCS #8 (RFC 8410) around the 32 bytes of an Ed25519 seed. */
const PKCS8_HEAD = "302e020100300506032b657004220420";

async function judgeKey(bytes: Uint8Array, test: Case): Promise<Judged> {
  const key = parsePublicKey(textOf(bytes) as string);
  if (test["signature"] !== undefined) await verify(key, unhex(given(test, "message")), unhex(given(test, "signature")));
  if (test["seed"] !== undefined) {
    const signing = await signingKeyOf(given(test, "seed"), key);
    const signature = await signing.sign(unhex(given(test, "message")));
    if (signing.public !== key || hex(signature) !== test["signature"]) throw new TestFault("signs otherwise");
  }
  return { fields: { bytes: hex(publicKeyBytes(key)), id: await keyId(key) }, again: utf8(key) };
}

/** WebCrypto makes no pair of a seed alone, so it is told the public key; its substitute finds it. */
function signingKeyOf(seed: string, key: PublicKey): Promise<SigningKey> {
  const native = async () => {
    const privateKey = await crypto.subtle.importKey("pkcs8", unhex(`${PKCS8_HEAD}${seed}`), "Ed25519", false, ["sign"]);
    const publicKey = await crypto.subtle.importKey("raw", publicKeyBytes(key), "Ed25519", true, ["verify"]);
    return SigningKey.of({ privateKey, publicKey });
  };
  return withEd25519(native, async (by) => new SigningKey(await by.signer(unhex(seed))));
}

function proofMessageOf(test: Case): Uint8Array {
  const side = given<Side | "tracker">(test, "side");
  if (side === "tracker") return trackerProofMessage(unhex(given(test, "challenge")));
  const nonces = { theirs: unhex(given(test, "their_nonce")), own: unhex(given(test, "own_nonce")) };
  const binding = { dialer: parseHash(given(test, "dialer")), acceptor: parseHash(given(test, "acceptor")) };
  return proofMessage(side, nonces, binding);
}
