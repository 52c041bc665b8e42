/** The peers of all swarms of this page: the tracker names them, wires connect them, proofs make them links. */
import { nowS, nowUs } from "./clock.ts";
import type { Identity } from "./identity.ts";
import { decodeFrame, encodeFrame } from "./protocol/frame.ts";
import { swarmOfContent, type ContentName, type KeyId, type RootId } from "./protocol/id.ts";
import type { PublicKey } from "./protocol/key.ts";
import type { Root } from "./protocol/manifest/root.ts";
import { checkTicket, openTicket, RIGHT_SEND } from "./protocol/ticket.ts";
import type { Candidate, ServerMessage } from "./protocol/tracker.ts";
import { FrameQueue } from "./session/frame_queue.ts";
import type { Link } from "./session/link.ts";
import type { Session } from "./session/session.ts";
import { TrackerClient, type Welcome } from "./tracker/client.ts";
import { HELLO_MS, introduce } from "./transport/hello.ts";
import { WebRtcDial } from "./transport/web_rtc.ts";
import type { Wire } from "./transport/wire.ts";

/** Links that a page wants in one swarm. */
const LINKS_WANTED = 8;
/** WebTransport gets so long before WebRTC is tried. */
const WEB_TRANSPORT_MS = 2000;
/** How long tickets count beyond their end while no tracker answers, in seconds. */
const GRACE_S = 6 * 3600;
/** How long a pair may wait for the other side's offer. */
const OFFER_MS = 20_000;
/** Most pairs at a time, over all swarms. */
const PAIRINGS_MAX = 64;
/** Most keys that are remembered as banned; those of one page view hardly reach it. */
const BANNED_MAX = 1024;

type Pair = Extract<ServerMessage, { readonly type: "pair" }>;

/** A release, as the tracker pairs those who have it. */
export interface Announced {
  readonly id: RootId;
  readonly root: Pick<Root, "chunks">;
}

/** A swarm that takes part. */
export interface Member {
  readonly session: Session;
  /** The release that is fetched now; without one, who takes part is there for a stream. */
  release: Announced | undefined;
  /** Keys of trackers that the tenant names; none where it names none. */
  readonly trackers: readonly PublicKey[];
  onEntry(entry: Uint8Array): void;
}

/** A pair that is being connected, or is. */
interface Pairing {
  readonly pair: Pair;
  dial: WebRtcDial | undefined;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** What a network asks and tells its owner. */
export interface NetworkSurroundings {
  /** Whether this page hands out what it has. */
  isSharing(): boolean;
  /** There is a link more. */
  linked(): void;
  /** A link did not come about, or the tracker refused something. */
  trouble(why: string): void;
}

export class Network {
  readonly #identity: Identity;
  readonly #tracker: TrackerClient;
  readonly #members = new Map<ContentName, Member>();
  readonly #pairings = new Map<number, Pairing>();
  readonly #pairOfLink = new Map<Link, number>();
  readonly #banned = new Set<KeyId>();
  #ticket: Uint8Array | undefined;
  #ticketWaiters: (() => void)[] = [];
  #welcome: Welcome | undefined;
  #announcer: ReturnType<typeof setInterval> | undefined;
  readonly #surroundings: NetworkSurroundings;

  constructor(
    trackers: string[],
    identity: Identity,
    token: string | undefined,
    surroundings: NetworkSurroundings,
  ) {
    this.#identity = identity;
    this.#surroundings = surroundings;
    this.#tracker = new TrackerClient(trackers, identity, token, {
      welcome: (welcome) => this.#welcomed(welcome),
      message: (message) => this.#heard(message),
    });
  }

  get isTrackerUp(): boolean {
    return this.#tracker.isUp;
  }

  /** URLs of the tracker's STUN servers, where it has any. */
  get stun(): readonly string[] {
    const { stun_host: named, stun_ports: ports = [] } = this.#welcome ?? {};
    const host = named?.includes(":") ? `[${named}]` : (named ?? new URL(this.#tracker.url).hostname);
    return ports.map((port) => `stun:${host}:${port}`);
  }

  join(content: ContentName, member: Member): void {
    this.#members.set(content, member);
    this.announce();
  }

  ban(key: KeyId): void {
    if (this.#banned.size < BANNED_MAX) this.#banned.add(key);
  }

  /** Tells the tracker how things stand. */
  announce(): void {
    for (const [content, member] of this.#members) void this.#announce(content, member);
  }

  /** A link is gone: its place is free. */
  unlinked(link: Link): void {
    const pair = this.#pairOfLink.get(link);
    if (pair === undefined) return;
    this.#pairOfLink.delete(link);
    this.#drop(pair, "closed");
    this.announce();
  }

  close(): void {
    clearInterval(this.#announcer);
    for (const pair of this.#pairings.keys()) this.#drop(pair, "closed");
    this.#tracker.close();
  }

  async #announce(content: ContentName, { session, release }: Member): Promise<void> {
    const root = release?.id ?? (await swarmOfContent(content));
    const links = session.links.length;
    const address = "0.0.0.0:0";
    const candidates = [{ transport: "web-rtc", address }, { transport: "web-transport", address }] as const;
    this.#tracker.send({
      type: "announce",
      content,
      root,
      chunks: release?.root.chunks ?? 0,
      have: "none",
      left_bytes: 1,
      sharing: this.#surroundings.isSharing(),
      links,
      links_wanted: Math.max(LINKS_WANTED - links, 0),
      candidates: candidates.filter(({ transport }) => isSupported(transport)) as unknown as Candidate[],
    });
  }

  #welcomed(welcome: Welcome): void {
    this.#welcome = welcome;
    this.announce();
    clearInterval(this.#announcer);
    this.#announcer = setInterval(() => this.announce(), welcome.announce_ms);
  }

  #heard(message: ServerMessage): void {
    switch (message.type) {
      case "ticket":
        this.#ticket = message.ticket;
        for (const wake of this.#ticketWaiters.splice(0)) wake();
        break;
      case "pair":
        this.#paired(message);
        break;
      case "signal":
        this.#signalled(message.pair, message.data);
        break;
      case "entry":
        this.#members.get(message.content)?.onEntry(message.entry);
        break;
      // The tracker's client has dealt with the opening and with drains; shards are for those who fetch whole releases.
      case "error":
        this.#surroundings.trouble(`the tracker refuses: ${message.code}`);
    }
  }

  #paired(pair: Pair): void {
    const isUnwanted = this.#banned.has(pair.key) || !this.#members.has(pair.content);
    if (isUnwanted || this.#pairings.size >= PAIRINGS_MAX) return this.#outcome(pair.pair, "failed");
    const timer = setTimeout(() => this.#drop(pair.pair, "failed"), OFFER_MS);
    this.#pairings.set(pair.pair, { pair, dial: undefined, timer });
    if (pair.dial) this.#connect(pair).catch((error: unknown) => this.#failed(pair.pair, error));
  }

  /** The dialer's side: WebTransport where the other has an address for it, else WebRTC. */
  async #connect(pair: Pair): Promise<void> {
    const node = pair.candidates.find(({ transport }) => transport === "web-transport");
    if (node !== undefined && isSupported("web-transport")) {
      try {
        const { dialWebTransport } = await import("./transport/web_transport.ts");
        const frames = { encodeFrame, decodeFrame };
        const wire = await dialWebTransport(frames, node.address, pair.certificates ?? [], WEB_TRANSPORT_MS);
        return await this.#introduce(pair, wire);
      } catch {
        // The address cannot be reached from here, or a policy forbids it.
      }
    }
    await this.#dialWebRtc(pair);
  }

  async #dialWebRtc(pair: Pair): Promise<void> {
    const pairing = this.#pairings.get(pair.pair);
    if (pairing === undefined || !isSupported("web-rtc")) throw new Error("no way to the peer");
    const signal = (data: string): void => this.#tracker.send({ type: "signal", pair: pair.pair, data });
    const dial = new WebRtcDial(pair.dial ? "dialer" : "acceptor", this.stun.slice(0, 1), signal);
    pairing.dial = dial;
    await this.#introduce(pair, await dial.wire);
  }

  #signalled(number: number, data: string): void {
    const pairing = this.#pairings.get(number);
    if (pairing === undefined) return;
    // Whoever waits builds its side when the other's offer comes.
    if (pairing.dial === undefined && !pairing.pair.dial) {
      this.#dialWebRtc(pairing.pair).catch((error: unknown) => this.#failed(number, error));
    }
    void pairing.dial?.heard(data);
  }

  async #introduce(pair: Pair, wire: Wire): Promise<void> {
    const member = this.#members.get(pair.content);
    if (member === undefined) return wire.close();
    const { session } = member;
    const frames = new FrameQueue(wire);
    const timer = setTimeout(() => wire.close(), HELLO_MS);
    try {
      if (this.#ticket === undefined) await new Promise<void>((resolve) => this.#ticketWaiters.push(resolve));
      const ticket = this.#ticket as Uint8Array;
      const admit = (key: PublicKey, theirs: Uint8Array): Promise<void> => this.#admit(pair.content, member, key, theirs);
      const own = { identity: this.#identity, ticket, expected: pair.key, admit };
      const rttUs = await introduce(wire, own, () => frames.next(), nowUs);
      const link = session.link(wire, pair.key, pair.locality === "unknown" ? "any" : pair.locality, rttUs);
      this.#pairOfLink.set(link, pair.pair);
      clearTimeout(this.#pairings.get(pair.pair)?.timer);
      this.#outcome(pair.pair, "linked");
      frames.hand(link);
      this.#surroundings.linked();
    } catch (error) {
      wire.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #admit(content: ContentName, { trackers }: Member, key: PublicKey, bytes: Uint8Array): Promise<void> {
    const own = this.#welcome === undefined ? [] : [this.#welcome.tracker_key];
    const ticket = await openTicket(bytes, trackers.length > 0 ? trackers : own);
    if ((ticket.rights & RIGHT_SEND) === 0 && !this.#surroundings.isSharing()) throw new Error("neither side may send");
    const swarm = await swarmOfContent(content);
    await checkTicket(ticket, { key, swarm, now: nowS(), grace: this.#tracker.isUp ? 0 : GRACE_S });
  }

  #failed(number: number, error: unknown): void {
    this.#surroundings.trouble(`no link: ${error instanceof Error ? error.message : String(error)}`);
    this.#drop(number, "failed");
  }

  #drop(number: number, outcome: "failed" | "closed"): void {
    const pairing = this.#pairings.get(number);
    if (pairing === undefined) return;
    this.#pairings.delete(number);
    clearTimeout(pairing.timer);
    pairing.dial?.close();
    this.#outcome(number, outcome);
  }

  #outcome(pair: number, outcome: "linked" | "failed" | "closed"): void {
    this.#tracker.send({ type: "paired", pair, outcome });
  }
}

function isSupported(transport: "web-rtc" | "web-transport"): boolean {
  return transport === "web-rtc" ? typeof RTCPeerConnection === "function" : typeof WebTransport === "function";
}
