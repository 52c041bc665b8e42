/**
 * The page that links to a node and moves its chunks both ways, with the SDK's own wires, Hello and link. A chunk counts
 * once its hash is right.
 */
import { nowS, nowUs } from "../../src/clock.ts";
import { createIdentity, type Identity } from "../../src/identity.ts";
import { decodeBase64, STANDARD } from "../../src/protocol/base64.ts";
import { utf8 } from "../../src/protocol/bytes.ts";
import { VerifiedChunk } from "../../src/protocol/chunk.ts";
import { decodeFrame, encodeFrame } from "../../src/protocol/frame.ts";
import { hashOf, type ChunkId, type Hash, type RootId, type SwarmId } from "../../src/protocol/id.ts";
import { keyId, type PublicKey } from "../../src/protocol/key.ts";
import { checkTicket, openTicket } from "../../src/protocol/ticket.ts";
import { FrameQueue } from "../../src/session/frame_queue.ts";
import { Link, type LinkEvents } from "../../src/session/link.ts";
import { introduce } from "../../src/transport/hello.ts";
import { dialWebTransport } from "../../src/transport/web_transport.ts";
import { WebRtcDial } from "../../src/transport/web_rtc.ts";
import type { Wire, WireKind } from "../../src/transport/wire.ts";

const CONNECT_MS = 5_000;
/** Chunks asked for at the same time, as many as the node asks of pages. */
const PARALLEL = 8;

/** What the node tells of itself: `edge-node/examples/browser_wire.rs`. */
interface Node {
  readonly key: PublicKey;
  readonly candidates: readonly { readonly transport: string; readonly address: string }[];
  readonly certificates: readonly Hash[];
  readonly tracker_key: PublicKey;
  readonly chunk_bytes: number;
  readonly chunks: readonly ChunkId[];
}

/** Chunks that came, and how long it took. */
export interface Moved {
  readonly bytes: number;
  readonly seconds: number;
}

declare global {
  interface Window {
    wires: typeof wires;
    /** The page's way to the node while they make a data channel; whoever drives the page provides it. */
    wiresSignal(data: string): Promise<void>;
  }
}

let node: Node | undefined;
let identity: Identity | undefined;
let url = "";
let link: Link | undefined;
let dial: WebRtcDial | undefined;
/** Chunks that came down, which the node then asks for. */
let held: Uint8Array[] = [];
/** Takes what comes of own requests. */
let taken: Pick<LinkEvents, "received" | "ended" | "closed"> | undefined;

const wires = {
  /** Gets to know the node whose HTTP server has this URL; the page's key. */
  async meet(nodeUrl: string): Promise<PublicKey> {
    url = nodeUrl;
    node = (await (await fetch(`${url}/info`)).json()) as Node;
    identity = await createIdentity();
    return identity.key.public;
  },
  async link(kind: WireKind): Promise<void> {
    const { candidates, certificates } = known().node;
    if (kind === "web-transport") {
      const address = candidates.find(({ transport }) => transport === kind)?.address ?? "";
      return introduced(await dialWebTransport({ encodeFrame, decodeFrame }, address, certificates, CONNECT_MS));
    }
    dial = new WebRtcDial("dialer", [], (data) => void window.wiresSignal(data));
    return introduced(await dial.wire);
  },
  heard: (data: string): Promise<void> | undefined => dial?.heard(data),
  /** Fetches all chunks over the link. */
  down(): Promise<Moved> {
    const { chunks, chunk_bytes } = known().node;
    const begunUs = nowUs();
    let [next, whole] = [0, 0];
    held = [];
    return new Promise((resolve, reject) => {
      const ask = (): void => {
        const hash = chunks[next];
        if (hash === undefined) return;
        const request = { type: "request", request: next, kind: "chunk", hash, offset: 0, encodings: 0 } as const;
        next += 1;
        linked().ask(request, chunk_bytes);
      };
      const count = (): void => {
        whole += 1;
        if (whole === chunks.length) resolve(moved(whole * chunk_bytes, begunUs));
      };
      taken = {
        received(_, request, __, bytes) {
          if (bytes === undefined) return;
          held[request] = bytes;
          ask();
          VerifiedChunk.check(chunks[request] as ChunkId, bytes).then(count, reject);
        },
        ended: (_, request, why) => reject(new Error(`request ${request}: ${why}`)),
        closed: () => reject(new Error("the node has left")),
      };
      for (let i = 0; i < PARALLEL; i += 1) ask();
    });
  },
  /** Offers all chunks, which have come down before, to the node, which then fetches them; it knows when it has them. */
  up(): void {
    const { chunks } = known().node;
    const { wire } = linked();
    taken = undefined;
    wire.send({ type: "release", release: 0, root: chunks[0] as Hash as RootId, chunks: chunks.length, sharing: true });
    wire.send({ type: "have", release: 0, ranges: [{ start: 0, end: chunks.length }] });
  },
  /** The same as {@link down} in one answer of HTTP. */
  async plainDown(from: string): Promise<Moved> {
    const { chunks, chunk_bytes } = known().node;
    const begunUs = nowUs();
    const checks: Promise<VerifiedChunk>[] = [];
    let chunk = new Uint8Array(chunk_bytes);
    let filled = 0;
    const { body } = await fetch(`${from}/plain`);
    const reader = (body as ReadableStream<Uint8Array>).getReader();
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      for (let rest = read.value; rest.length > 0; ) {
        const part = rest.subarray(0, chunk_bytes - filled);
        chunk.set(part, filled);
        filled += part.length;
        rest = rest.subarray(part.length);
        if (filled < chunk_bytes) continue;
        checks.push(VerifiedChunk.check(chunks[checks.length] as ChunkId, chunk));
        chunk = new Uint8Array(chunk_bytes);
        filled = 0;
      }
    }
    await Promise.all(checks);
    return moved(checks.length * chunk_bytes, begunUs);
  },
  /** The same as {@link up} in one request of HTTP, whose answer tells how many bytes were right. */
  async plainUp(to: string): Promise<Moved> {
    const { chunks } = known().node;
    const body = new Blob(chunks.map((_, number) => chunkOf(number)));
    const begunUs = nowUs();
    const answer = await fetch(`${to}/plain`, { method: "POST", body });
    return moved(Number(await answer.text()), begunUs);
  },
  close: (): void => link?.close("measured"),
};

window.wires = wires;

async function introduced(wire: Wire): Promise<void> {
  const { node: other, identity: own } = known();
  const ticket = await fetch(`${url}/ticket/${own.key.public}`);
  const frames = new FrameQueue(wire);
  const introduction = {
    identity: own,
    ticket: decodeBase64(await ticket.text(), STANDARD) as Uint8Array,
    expected: await keyId(other.key),
    async admit(key: PublicKey, theirs: Uint8Array): Promise<void> {
      const swarm = (await hashOf(utf8("browser_wire"))) as Hash as SwarmId;
      await checkTicket(await openTicket(theirs, [other.tracker_key]), { key, swarm, now: nowS(), grace: 0 });
    },
  };
  const places = new Map(other.chunks.map((id, place) => [id, place]));
  await introduce(wire, introduction, () => frames.next(), nowUs);
  link = new Link(0, introduction.expected, wire, {
    positions: () => undefined,
    received: (...came) => taken?.received(...came),
    ended: (...how) => taken?.ended(...how),
    asked: (from, { request, hash }) => void from.answer(request, held[places.get(hash as ChunkId) as number] as Uint8Array),
    cancelled: () => undefined,
    entry: () => undefined,
    closed: (gone) => taken?.closed(gone),
  });
  frames.hand(link);
}

/** Chunk `n` is `n` as 4 bytes, big end first, over and over. */
function chunkOf(number: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(known().node.chunk_bytes);
  const word = new DataView(bytes.buffer, 0, 4);
  word.setUint32(0, number);
  new Uint32Array(bytes.buffer).fill(new Uint32Array(bytes.buffer, 0, 1)[0] as number);
  return bytes;
}

function moved(bytes: number, begunUs: number): Moved {
  return { bytes, seconds: (nowUs() - begunUs) / 1e6 };
}

function known(): { readonly node: Node; readonly identity: Identity } {
  if (node === undefined || identity === undefined) throw new Error("this page has met no node yet");
  return { node, identity };
}

function linked(): Link {
  if (link === undefined) throw new Error("this page has no link yet");
  return link;
}
