/** The facade: routes inputs to the parts that decide, and collects what they say. */
import type { Range } from "../protocol/ranges.ts";
import { Announce } from "./announce.ts";
import { Assign } from "./assign.ts";
import { Governor, type Demand, type Tracker } from "./governor.ts";
import type { FetchEnd, Input, Locality, RequestEnd } from "./input.ts";
import { lookAfter, takeBackLast } from "./late.ts";
import { Ledger, within, type Source } from "./ledger.ts";
import { ANNOUNCE_US, CORRUPT_MAX, TICK_US } from "./limits.ts";
import { Origin } from "./origin.ts";
import type { OriginReason, Output, Say } from "./output.ts";
import { Picker } from "./pick.ts";
import type { Policy } from "./policy.ts";
import { ShardAsk } from "./shard_ask.ts";
import { Upload } from "./upload.ts";
import { quotient } from "./whole.ts";

/** What a core is made of. Ranges are ascending and disjoint. */
export interface CoreConfig {
  /** Size of the chunk at each position, in bytes. */
  readonly chunk_bytes: readonly number[];
  /** Positions that this job wants; others are neither fetched nor asked for. */
  readonly wanted: readonly Range[];
  /** Positions held at the start. */
  readonly held: readonly Range[];
  /** Positions that the tracker spreads as first copies, if not all. */
  readonly leased?: Range;
  readonly policy: Policy;
  /** Whether a tracker is configured: the first decisions then wait a little for its word. */
  readonly has_tracker: boolean;
  /** Whether there is no way to any peer: the origin is then asked for long ranges, from the first to the last. */
  readonly is_alone?: boolean;
  /** Spreads choices between peers; random 32 bits, from the shell. */
  readonly seed: number;
}

/** Counts of a core's life, for reports. */
export interface Totals {
  /** Verified bytes that came from peers and were used. */
  readonly peer_bytes: number;
  /** Verified bytes that came from the origin and were used, by reason in the order of `ORIGIN_REASONS`. */
  readonly origin_bytes: readonly number[];
  /** Bytes that came and were not used: duplicates, broken off, corrupt. */
  readonly waste_bytes: number;
  /** Of these, bytes that did not match their hash. */
  readonly corrupt_bytes: number;
  /** Payload bytes handed to peers. */
  readonly sent_bytes: number;
  readonly held_chunks: number;
  /** Wanted positions not held, and their bytes. */
  readonly missing_chunks: number;
  readonly missing_bytes: number;
}

/** The core of one release on one peer: decides, and does no IO. Times are microseconds, never going back. */
export class Core {
  #policy: Policy;
  readonly #ledger: Ledger;
  readonly #assign = new Assign();
  readonly #picker: Picker;
  readonly #origin: Origin;
  readonly #governor: Governor;
  readonly #upload: Upload;
  readonly #announce = new Announce(ANNOUNCE_US);
  readonly #shards = new ShardAsk();
  readonly #isAlone: boolean;
  #tracker: Tracker;
  /** Positions that peers got wrong: the origin's next copy of them is for that reason. */
  readonly #corrupt = new Set<number>();
  #tickUs: number;
  #isComplete = false;
  readonly #outputs: Output[] = [];
  readonly #say: Say = (output) => void this.#outputs.push(output);

  constructor(now: number, config: CoreConfig) {
    const len = config.chunk_bytes.length;
    this.#policy = config.policy;
    this.#ledger = new Ledger(config.chunk_bytes, config.leased ?? { start: 0, end: len }, config.wanted, config.held);
    this.#picker = new Picker(config.seed);
    this.#origin = new Origin(len, config.seed);
    this.#governor = new Governor(now);
    this.#upload = new Upload(len, now);
    this.#isAlone = config.is_alone === true;
    this.#tracker = config.has_tracker ? "unheard" : "none";
    this.#tickUs = now + TICK_US;
    this.#decide(now);
  }

  /** Tells what happened. */
  handleInput(now: number, input: Input): void {
    this.#take(now, input);
    this.#decide(now);
  }

  /** Tells that the time of {@link pollTimeout} has come. */
  handleTimeout(now: number): void {
    if (now >= this.#tickUs) {
      this.#tickUs = now + TICK_US;
      if (!this.#isComplete) {
        lookAfter(now, this.#policy.download_bytes_s_max ?? undefined, this.#assign, this.#ledger, this.#origin, this.#say);
        this.#origin.dropStalled(now, this.#ledger, this.#assign, this.#say);
        this.#origin.dropNeedless(this.#ledger, this.#assign, this.#say);
      }
    }
    this.#decide(now);
  }

  /** Next thing to do; ask until there is none after each input and timeout. */
  pollOutput(): Output | undefined {
    return this.#outputs.shift();
  }

  /** When to call {@link handleTimeout} next, if at all. */
  pollTimeout(): number | undefined {
    const times = [
      this.#isComplete ? undefined : this.#tickUs,
      this.#shards.reportTimeout(this.#ledger, this.#tracker, this.#policy),
      this.#announce.timeout,
      this.#upload.timeout(this.#policy),
    ].filter((time) => time !== undefined);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Counts so far. */
  totals(): Totals {
    const ledger = this.#ledger;
    return {
      peer_bytes: ledger.peerBytes,
      origin_bytes: [...ledger.originBytes],
      waste_bytes: ledger.wasteBytes,
      corrupt_bytes: ledger.corruptBytes,
      sent_bytes: this.#upload.sentBytes,
      held_chunks: ledger.held.count,
      missing_chunks: ledger.missingChunks,
      missing_bytes: ledger.missingBytes,
    };
  }

  /** Whether every wanted position is held. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Which positions are held. */
  held(): readonly Range[] {
    return this.#ledger.held.ranges();
  }

  #take(now: number, input: Input): void {
    const ledger = this.#ledger;
    switch (input.input) {
      case "link-up":
        return this.#linkUp(now, input.link, input.locality, input.rtt_us);
      case "link-down":
        return this.#linkDown(input.link);
      case "have":
        return this.#assign.have(ledger, input.link, input.ranges);
      case "withdraw":
        return this.#assign.withdraw(ledger, input.link, input.ranges);
      case "fetching":
        return this.#assign.fetching(input.link, input.ranges);
      case "progress":
        this.#governor.progress(now);
        return this.#assign.progress(now, input.request, input.bytes);
      case "request-ended":
        return this.#requestEnded(now, input.request, input.end);
      case "origin-progress":
        return this.#originMoved(now, this.#origin.progress(now, input.fetch, input.bytes));
      case "origin-chunk":
        return this.#originChunk(now, input.fetch, input.chunk, input.verified);
      case "origin-ended":
        return this.#originEnded(now, input.fetch, input.end);
      case "found":
        for (const chunk of within(ledger.len, input.ranges)) this.#hold(chunk, "local");
        return;
      case "want":
        return this.#want(now, input.ranges);
      case "lost":
        if (ledger.lose(input.chunk)) {
          this.#announce.lost(input.chunk);
          this.#say({ output: "send-withdraw", ranges: [{ start: input.chunk, end: input.chunk + 1 }] });
        }
        return;
      case "shards":
        this.#governor.swarm(input.active_jobs, input.origin_budget_bytes_s);
        this.#shards.answered(now, input.granted.length === 0);
        this.#tracker = "up";
        for (const shard of input.granted) this.#origin.lease(ledger.shardPositions(shard));
        return;
      case "tracker-up":
        this.#tracker = "up";
        return;
      case "tracker-down":
        this.#tracker = "down";
        this.#shards.trackerDown();
        return this.#announce.fetchingChanged();
      case "peer-request": {
        const { link, request, chunk } = input;
        if (!this.#assign.links.has(link)) return;
        return this.#upload.asked(now, this.#policy, ledger, link, request, chunk, this.#say);
      }
      case "peer-cancel":
        return this.#upload.cancelled(input.link, input.request);
      case "sent":
        return this.#upload.sent(now, input.link, input.request, input.bytes);
      case "policy":
        return this.#setPolicy(input);
    }
  }

  #want(now: number, ranges: readonly Range[]): void {
    const ledger = this.#ledger;
    const gotBytes = ledger.gotBytes;
    for (const chunk of within(ledger.len, ranges)) this.#assign.want(ledger, chunk);
    if (ledger.missingChunks > 0 && this.#isComplete) {
      this.#isComplete = false;
      this.#tickUs = now + TICK_US;
      this.#governor.beginAgain(now, gotBytes);
    }
  }

  #linkUp(now: number, link: number, locality: Locality, rttUs: number): void {
    if (!this.#assign.linkUp(now, link, this.#ledger.len, locality, rttUs)) {
      this.#say({ output: "drop-link", link, reason: "misbehaved" });
    } else if (this.#policy.sharing && this.#ledger.held.count > 0) {
      this.#say({ output: "send-have", link, ranges: this.held() });
    }
  }

  #linkDown(link: number): void {
    this.#assign.linkDown(this.#ledger, link);
    this.#upload.linkDown(link);
  }

  #requestEnded(now: number, id: number, end: RequestEnd): void {
    const request = this.#assign.ended(now, this.#ledger, id, end);
    if (request === undefined) return;
    const { link, chunk } = request;
    if (end === "verified") {
      this.#governor.progress(now);
      this.#hold(chunk, "peer");
    } else if (end === "corrupt") {
      // A chunk comes from one source, which hashes before it sends: it is to blame, at once.
      if (this.#corrupt.size < CORRUPT_MAX) this.#corrupt.add(chunk);
      this.#linkDown(link);
      this.#say({ output: "drop-link", link, reason: "corrupt" });
    }
  }

  #originChunk(now: number, fetch: number, chunk: number, verified: boolean): void {
    const reason = this.#origin.delivered(now, this.#ledger, fetch, chunk);
    if (reason === undefined) return;
    if (verified) {
      this.#originMoved(now, reason);
      this.#origin.rest.succeeded();
      this.#hold(chunk, { origin: this.#corrupt.has(chunk) ? "corrupt-peers" : reason });
    } else {
      this.#ledger.wasteCorrupt(this.#ledger.bytes(chunk));
      this.#origin.rest.failed(now, null);
      this.#assign.giveUp(this.#ledger, chunk);
    }
  }

  /** Bytes came in from the origin; why they were fetched, where that is known. */
  #originMoved(now: number, reason: OriginReason | undefined): void {
    if (reason === undefined) this.#governor.progress(now);
    else this.#governor.originProgress(now, reason, this.#origin.bytesS);
  }

  #originEnded(now: number, fetch: number, end: FetchEnd): void {
    const wasKnown = this.#origin.ended(this.#ledger, this.#assign, fetch);
    this.#noteFetching();
    if (end !== "complete" && wasKnown) this.#origin.rest.failed(now, end.failed.retry_after_us);
  }

  #hold(chunk: number, source: Source): void {
    const sources = this.#ledger.sources(chunk);
    if (!this.#ledger.hold(chunk, source)) return;
    if (this.#policy.sharing) this.#announce.held(chunk);
    if (sources > 1 || (sources === 1 && source === "local")) this.#assign.takeBack(this.#ledger, chunk, this.#say);
  }

  #setPolicy(policy: Policy): void {
    const before = this.#policy;
    this.#policy = policy;
    if (before.sharing && !policy.sharing) {
      this.#upload.stop(this.#say);
      this.#announce.clear();
      this.#say({ output: "send-withdraw", ranges: this.held() });
    } else if (!before.sharing && policy.sharing) {
      this.#say({ output: "send-have", link: null, ranges: this.held() });
    }
    if (before.p2p && !policy.p2p) this.#assign.takeBackAll(this.#ledger, this.#say);
  }

  /** Looks at everything that an input may have made possible. */
  #decide(now: number): void {
    if (!this.#isComplete) {
      if (this.#policy.p2p) this.#assign.fill(now, this.#asksLeft(), this.#ledger, this.#picker, this.#say);
      this.#askOrigin(now);
      this.#checkComplete();
    }
    if (this.#policy.p2p) {
      this.#shards.ask(now, this.#tracker, this.#policy, this.#ledger, this.#origin, this.#say);
    }
    this.#upload.fill(now, this.#policy, this.#ledger, this.#assign, this.#say);
    this.#announce.flush(now, () => this.#origin.fetching(), this.#say);
  }

  /**
   * How many chunks may be asked for, so that all that is on its way comes within a second: who reads slowly on purpose
   * keeps few waiting, or they seem dead.
   */
  #asksLeft(): number {
    const rate = this.#policy.download_bytes_s_max ?? undefined;
    if (rate === undefined) return Infinity;
    const chunkBytes = Math.max(this.#ledger.meanBytes, 1);
    const onTheWay = this.#assign.requests.size * chunkBytes + this.#origin.flightBytes;
    return onTheWay === 0 ? Math.max(quotient(rate, chunkBytes), 1) : quotient(Math.max(rate - onTheWay, 0), chunkBytes);
  }

  #askOrigin(now: number): void {
    const origin = this.#origin;
    while (origin.hasSlot(now) && this.#asksLeft() > 0) {
      const most = this.#asksLeft();
      const hadLease = origin.hasLease;
      const demand = this.#governor.demand(this.#policy, {
        now,
        tracker: this.#tracker,
        isAlone: this.#isAlone,
        hasUsefulLink: this.#assign.hasUsefulLink(now),
        hasRequests: this.#assign.requests.size > 0,
        hasLease: hadLease,
        aheadPermille: this.#aheadPermille(),
        gotBytes: this.#ledger.gotBytes,
      });
      if (demand === undefined) return;
      if (this.#ledger.free.count === 0 && !this.#freeForOrigin(now, demand)) return;
      const bytes = origin.start(now, demand, most, this.#ledger, this.#assign, this.#picker, this.#say);
      if (bytes === undefined) {
        // A lease may turn out to be fetched already: then the governor is asked again.
        if (hadLease && !origin.hasLease) continue;
        return;
      }
      this.#governor.spend(bytes);
      this.#noteFetching();
    }
  }

  /** How far this peer is ahead of its neighbours' mean, in thousandths of the release; asked for at `speed` alone. */
  #aheadPermille(): number | undefined {
    if (this.#policy.goal !== "speed") return undefined;
    const { held } = this.#ledger;
    // What peers told is a little old, so what they were told is compared with it.
    const told = held.permilleOf(held.count - this.#announce.waiting);
    const mean = this.#assign.meanProgress();
    return mean === undefined ? undefined : told - mean;
  }

  /** At the end all that is missing is asked of peers. Where the origin should help, it takes over what would come last. */
  #freeForOrigin(now: number, { choice }: Demand): boolean {
    if (choice !== "rarest" || !this.#origin.hasRoom(choice)) return false;
    const originUs = this.#origin.nextUs(this.#ledger.meanBytes);
    return takeBackLast(now, this.#assign, this.#ledger, originUs, this.#say);
  }

  /** Neighbours need to know only while no tracker spreads first copies. */
  #noteFetching(): void {
    if (this.#tracker !== "up" && this.#policy.p2p && this.#policy.sharing) this.#announce.fetchingChanged();
  }

  #checkComplete(): void {
    if (this.#ledger.missingChunks > 0) return;
    this.#isComplete = true;
    this.#assign.takeBackAll(this.#ledger, this.#say);
    this.#origin.dropAll(this.#ledger, this.#assign, this.#say);
    this.#say({ output: "complete" });
  }
}
