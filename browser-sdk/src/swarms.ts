/** The swarms that this page takes part in, while the user and the surroundings let it. */
import { uploadCaps, type UploadBudget } from "./budget.ts";
import { nowS, nowUs } from "./clock.ts";
import type { Conditions } from "./conditions.ts";
import type { Emitter } from "./events.ts";
import { createIdentity, provideEd25519, type Identity } from "./identity.ts";
import { Network, type Member } from "./network.ts";
import { small } from "./origin.ts";
import { envelopeBytesMax } from "./protocol/envelope.ts";
import { prefix32, type ContentName } from "./protocol/id.ts";
import type { PublicKey } from "./protocol/key.ts";
import { KEY_DOCUMENT_KIND, keysFor, openKeyDocument } from "./protocol/key_document.ts";
import { rendezvousOrder } from "./protocol/rendezvous.ts";
import type { Files } from "./release/files.ts";
import { Session } from "./session/session.ts";
import { Entries } from "./stream/entries.ts";
import { Stream } from "./stream/stream.ts";
import type { Totals } from "./swarm/core.ts";
import type { Policy } from "./swarm/policy.ts";

/** When a content that could not be joined is tried again. */
const AGAIN_US = 30_000_000;
/** Time between two looks at the budget. */
const BUDGET_MS = 500;

/** Where a tenant's things are, and who this page is there. */
export interface Place {
  /** Trackers, at least one. */
  readonly trackers: readonly string[];
  /** Base URL of the origin, with `/` at its end. */
  readonly origin: string;
  readonly tenantKey: PublicKey;
  readonly token: string | undefined;
}

/** What happens in swarms. */
export interface SwarmEvents {
  /** Number of links, over all swarms. */
  links: number;
  /** A peer sent bytes that do not match, and is not spoken to again: its key's id. */
  banned: string;
  /** Something failed, which the page need not care about: it goes on over HTTP. */
  trouble: string;
}

/** A content whose swarm was joined: what is asked for decides whether it is a stream or has releases. */
export interface Swarm {
  readonly stream: Stream;
  /** Loads what published files need. */
  files(): Promise<Files>;
  readonly member: Member;
}

export class Swarms {
  readonly #place: Place;
  readonly #budget: UploadBudget;
  readonly #keptBytesMax: number;
  readonly #conditions: Conditions;
  readonly #events: Emitter<SwarmEvents>;
  readonly #close = new AbortController();
  readonly #passed: (bytes: number) => void;
  readonly #joining = new Map<ContentName, Promise<Swarm | undefined>>();
  /** When joining failed last. */
  readonly #failedUs = new Map<ContentName, number>();
  readonly #swarms = new Map<ContentName, Swarm>();
  #identity: Promise<Identity> | undefined;
  #network: Network | undefined;
  #budgetTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    place: Place,
    budget: UploadBudget,
    keptBytesMax: number,
    conditions: Conditions,
    events: Emitter<SwarmEvents>,
    passed: (bytes: number) => void,
  ) {
    provideEd25519();
    this.#place = place;
    this.#budget = budget;
    this.#keptBytesMax = keptBytesMax;
    this.#conditions = conditions;
    this.#events = events;
    this.#passed = passed;
    conditions.on("change", () => this.#changed());
    // A tracker that is connected when the first player begins finds its peers sooner.
    if (conditions.verdict.p2p) this.#changed();
  }

  /** Whether the tracker answers. */
  get isTrackerUp(): boolean {
    return this.#network?.isTrackerUp === true;
  }

  /** URLs of the tracker's STUN servers, while it is connected. */
  get stun(): readonly string[] {
    return this.#network?.stun ?? [];
  }

  get sessions(): readonly Session[] {
    return [...this.#swarms.values()].map(({ member }) => member.session);
  }

  totals(): readonly Totals[] {
    return this.sessions.map((session) => session.totals());
  }

  /** The swarm of a content; `undefined` while peers may not be used, or when it cannot be joined. */
  async join(content: ContentName): Promise<Swarm | undefined> {
    if (!this.#conditions.verdict.p2p || this.#close.signal.aborted) return undefined;
    if (nowUs() - (this.#failedUs.get(content) ?? -Infinity) < AGAIN_US) return undefined;
    let joining = this.#joining.get(content);
    if (joining === undefined) {
      joining = this.#join(content).catch((error: unknown) => {
        this.#events.emit("trouble", String(error));
        this.#failedUs.set(content, nowUs());
        this.#joining.delete(content);
        return undefined;
      });
      this.#joining.set(content, joining);
    }
    return joining;
  }

  close(): void {
    this.#close.abort();
    clearTimeout(this.#budgetTimer);
    for (const session of this.sessions) session.close();
    this.#network?.close();
  }

  async #join(content: ContentName): Promise<Swarm> {
    const { signal } = this.#close;
    const base = `${this.#place.origin}${content}/`;
    const [identity, envelope] = await Promise.all([
      this.#connect(content),
      small(`${base}keys`, envelopeBytesMax(KEY_DOCUMENT_KIND), signal),
    ]);
    const keys = await openKeyDocument(envelope, this.#place.tenantKey);
    const session = new Session(prefix32(identity.keyId), this.#policy(), this.#keptBytesMax, {
      banned: (key) => {
        this.#network?.ban(key);
        this.#events.emit("banned", key);
      },
      unlinked: (link) => {
        this.#network?.unlinked(link);
        this.#linksChanged();
      },
      entry: (entry) => void stream.entry(entry),
      moved: () => this.#moved(),
    });
    const stream = new Stream(content, session, new Entries(content, base, keysFor(keys, "stream", nowS()), signal));
    const onEntry = (entry: Uint8Array): void => void stream.entry(entry);
    const member: Member = { session, trackers: keysFor(keys, "tracker", nowS()), onEntry, release: undefined };
    const loadFiles = async (): Promise<Files> => {
      const { Files, Releases } = await import("./files.ts");
      return new Files(base, new Releases(content, base, keys, signal), session, {
        opened: ({ id, root }) => {
          const isNews = member.release?.id !== id;
          member.release = { id, root };
          if (isNews) this.#network?.announce();
        },
        passed: this.#passed,
      });
    };
    let loading: Promise<Files> | undefined;
    const files = (): Promise<Files> => {
      loading ??= loadFiles().catch((error: unknown) => {
        loading = undefined;
        throw error;
      });
      return loading;
    };
    const swarm = { stream, files, member };
    this.#swarms.set(content, swarm);
    this.#network?.join(content, member);
    return swarm;
  }

  /**
   * Connects to a tracker, where that is not so yet and allowed. Which of several is first is a matter of the content: there
   * are its other peers.
   */
  async #connect(first: ContentName | undefined = [...this.#swarms.keys()][0]): Promise<Identity> {
    const identity = await (this.#identity ??= createIdentity());
    // Any order is right for a single one.
    const trackers = await rendezvousOrder(first as ContentName, this.#place.trackers);
    if (first === undefined && trackers.length > 1) return identity;
    if (!this.#conditions.verdict.p2p || this.#network !== undefined || this.#close.signal.aborted) return identity;
    this.#network = new Network(trackers, identity, this.#place.token, {
      isSharing: () => this.#conditions.verdict.upload,
      linked: () => this.#linksChanged(),
      trouble: (why) => this.#events.emit("trouble", why),
    });
    for (const [content, { member }] of this.#swarms) this.#network.join(content, member);
    return identity;
  }

  /** The user or the surroundings allow something else now. */
  #changed(): void {
    for (const session of this.sessions) session.setPolicy(this.#policy(session));
    if (!this.#conditions.verdict.p2p) {
      this.#network?.close();
      this.#network = undefined;
      for (const session of this.sessions) session.unlink("peers are no longer wanted");
    } else if (this.#network === undefined) {
      this.#connect().catch((error: unknown) => this.#events.emit("trouble", String(error)));
    } else {
      this.#network?.announce();
    }
  }

  #linksChanged(): void {
    this.#events.emit("links", this.sessions.reduce((sum, { links }) => sum + links.length, 0));
  }

  #moved(): void {
    this.#budgetTimer ??= setTimeout(() => {
      this.#budgetTimer = undefined;
      for (const session of this.sessions) session.setPolicy(this.#policy(session));
    }, BUDGET_MS);
  }

  #policy(session?: Session): Policy {
    const { p2p, upload } = this.#conditions.verdict;
    const totals = this.totals();
    const receivedBytes = totals.reduce(
      (sum, { peer_bytes, origin_bytes }) => sum + peer_bytes + origin_bytes.reduce((a, b) => a + b, 0),
      0,
    );
    const sentBytes = totals.reduce((sum, { sent_bytes }) => sum + sent_bytes, 0);
    const otherSentBytes = sentBytes - (session?.totals().sent_bytes ?? 0);
    return {
      p2p,
      sharing: upload,
      goal: "speed",
      ...uploadCaps(this.#budget, { receivedBytes, otherSentBytes, cores: Math.max(this.#swarms.size, 1) }),
      offload_slack_permille: 500,
      reference_bytes_s_floor: 500_000,
    };
  }
}
