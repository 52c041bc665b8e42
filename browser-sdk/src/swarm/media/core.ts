/**
 * The core of a stream: segments that are wanted by a deadline, in the order of play.
 *
 * It speaks the inputs and outputs of the bulk core, in positions `segment × 1024 + piece`; segments are numbered by the
 * shell. A file that is read in order is a stream too: its runs of chunks are the segments. This file is the facade: it
 * routes inputs to the parts that decide, and collects what they say.
 */
import { rangesOf } from "../../protocol/ranges.ts";
import { Announce } from "../announce.ts";
import type { Totals } from "../core.ts";
import type { FetchEnd, Input, Locality, RequestEnd } from "../input.ts";
import type { Source } from "../ledger.ts";
import { MEDIA_TICK_US, PIECES_MAX } from "../limits.ts";
import type { OriginReason, Output, Say } from "../output.ts";
import type { Policy } from "../policy.ts";
import { Rest } from "../rest.ts";
import { Upload } from "../upload.ts";
import { Fetches, firstRun } from "./fetches.ts";
import { demand, turnOf } from "./governor.ts";
import { Sources } from "./sources.ts";
import { missingBytes, position, segmentAt, Timeline, type PlayerInput } from "./timeline.ts";
import { fill } from "./window.ts";

/** What a stream's core is made of. */
export interface MediaConfig {
  readonly policy: Policy;
  /** This peer's place among its neighbours: the first four bytes of its key id. */
  readonly order: number;
}

/** The core of one stream on one peer: decides, and does no IO. Times are microseconds, never going back. */
export class MediaCore {
  #policy: Policy;
  readonly #order: number;
  readonly #beganUs: number;
  readonly #timeline = new Timeline();
  readonly #sources = new Sources();
  readonly #fetches = new Fetches();
  readonly #rest: Rest;
  readonly #upload: Upload;
  readonly #announce = new Announce(0);
  #tickUs: number;
  readonly #outputs: Output[] = [];
  readonly #say: Say = (output) => void this.#outputs.push(output);

  constructor(now: number, { policy, order }: MediaConfig) {
    this.#policy = policy;
    this.#order = order;
    this.#beganUs = now;
    this.#rest = new Rest(order);
    this.#upload = new Upload(PIECES_MAX, now);
    this.#tickUs = now + MEDIA_TICK_US;
  }

  /** Tells what the player's side says. */
  handlePlayer(now: number, input: PlayerInput): void {
    switch (input.player) {
      case "segment":
        this.#timeline.add(input.segment, input.order, input.piece_bytes);
        break;
      case "forget":
        this.#forget(input.segment);
        break;
      case "want":
        this.#timeline.want(now, input.segment, input.deadline_us);
        break;
      case "unwant":
        this.#unwant(input.segment);
        break;
      case "peer-order": {
        const link = this.#sources.links.get(input.link);
        if (link !== undefined) link.order = input.order;
      }
    }
    this.#decide(now);
  }

  /** Tells what else happened. What is about bulk jobs alone is ignored. */
  handleInput(now: number, input: Input): void {
    this.#take(now, input);
    this.#decide(now);
  }

  /** Tells that the time of {@link pollTimeout} has come. */
  handleTimeout(now: number): void {
    if (now >= this.#tickUs) {
      this.#tickUs = now + MEDIA_TICK_US;
      this.#sources.dropStalled(now, this.#timeline, this.#say);
    }
    this.#decide(now);
  }

  /** Next thing to do; ask until there is none after each input and timeout. */
  pollOutput(): Output | undefined {
    return this.#outputs.shift();
  }

  /** When to call {@link handleTimeout} next, if at all. */
  pollTimeout(): number | undefined {
    const tick = this.#timeline.hasWanted ? this.#tickUs : undefined;
    const times = [tick, this.#announce.timeout, this.#upload.timeout(this.#policy)];
    const due = times.filter((time) => time !== undefined);
    return due.length === 0 ? undefined : Math.min(...due);
  }

  /** Counts so far. */
  totals(): Totals {
    const timeline = this.#timeline;
    const { held, missing } = timeline.counts();
    return {
      peer_bytes: timeline.peerBytes,
      origin_bytes: [...timeline.originBytes],
      waste_bytes: timeline.wasteBytes,
      corrupt_bytes: timeline.corruptBytes,
      sent_bytes: this.#upload.sentBytes,
      held_chunks: held,
      missing_chunks: missing.length,
      missing_bytes: missing.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  }

  #take(now: number, input: Input): void {
    const timeline = this.#timeline;
    const sources = this.#sources;
    switch (input.input) {
      case "link-up":
        return this.#linkUp(now, input.link, input.locality, input.rtt_us);
      case "link-down":
        return this.#linkDown(input.link);
      case "have":
        return sources.have(timeline, input.link, input.ranges);
      case "withdraw":
        return sources.withdraw(timeline, input.link, input.ranges);
      case "fetching":
        return sources.fetching(timeline, input.link, input.ranges);
      case "progress":
        return this.#moved(now, sources.progress(now, input.request, input.bytes));
      case "request-ended":
        return this.#requestEnded(now, input.request, input.end);
      case "origin-progress":
        return this.#moved(now, this.#fetches.progress(now, input.fetch, input.bytes));
      case "origin-chunk":
        return this.#originChunk(now, input.fetch, input.chunk, input.verified);
      case "origin-ended":
        return this.#originEnded(now, input.fetch, input.end);
      case "found":
        for (const chunk of timeline.known(input.ranges)) this.#hold(now, chunk, "local");
        return;
      case "lost":
        return this.#lost(input.chunk);
      case "peer-request":
        if (!sources.links.has(input.link)) return;
        return this.#upload.asked(now, this.#policy, timeline, input.link, input.request, input.chunk, this.#say);
      case "peer-cancel":
        return this.#upload.cancelled(input.link, input.request);
      case "sent":
        return this.#upload.sent(now, input.link, input.request, input.bytes);
      case "policy":
        return this.#setPolicy(input);
      case "want":
      case "shards":
      case "tracker-up":
      case "tracker-down":
    }
  }

  #linkUp(now: number, link: number, locality: Locality, rttUs: number): void {
    if (!this.#sources.linkUp(now, link, locality, rttUs)) {
      this.#say({ output: "drop-link", link, reason: "misbehaved" });
    } else if (this.#policy.sharing) {
      // Also nothing is said, so that the peer need not wait for it.
      this.#say({ output: "send-have", link, ranges: this.#timeline.held() });
    }
  }

  #linkDown(link: number): void {
    this.#sources.linkDown(this.#timeline, link);
    this.#upload.linkDown(link);
  }

  #moved(now: number, chunk: number | undefined): void {
    if (chunk !== undefined) this.#timeline.progress(now, chunk);
  }

  #requestEnded(now: number, id: number, end: RequestEnd): void {
    const request = this.#sources.ended(now, this.#timeline, id, end);
    if (request === undefined) return;
    if (end === "verified") this.#hold(now, request.chunk, "peer");
    if (end !== "corrupt") return;
    // A piece comes from one source, which hashes before it sends: it is to blame, at once.
    const piece = this.#timeline.piece(request.chunk);
    if (piece !== undefined) piece.isCorrupt = true;
    this.#linkDown(request.link);
    this.#say({ output: "drop-link", link: request.link, reason: "corrupt" });
  }

  #originChunk(now: number, fetch: number, chunk: number, verified: boolean): void {
    const reason = this.#fetches.delivered(this.#timeline, fetch, chunk);
    if (reason === undefined) return;
    if (verified) {
      this.#rest.succeeded();
      const isCorrupt = this.#timeline.piece(chunk)?.isCorrupt === true;
      this.#hold(now, chunk, { origin: isCorrupt ? "corrupt-peers" : reason });
    } else {
      const bytes = this.#timeline.bytes(chunk);
      this.#timeline.wasteBytes += bytes;
      this.#timeline.corruptBytes += bytes;
      this.#rest.failed(now, null);
    }
  }

  #originEnded(now: number, fetch: number, end: FetchEnd): void {
    if (!this.#fetches.ended(this.#timeline, fetch)) return;
    this.#announce.fetchingChanged();
    if (end !== "complete") this.#rest.failed(now, end.failed.retry_after_us);
  }

  #hold(now: number, chunk: number, source: Source): void {
    if (!this.#timeline.hold(now, chunk, source)) return;
    if (this.#policy.sharing) this.#announce.held(chunk);
    this.#sources.cancelWhere(this.#timeline, (request) => request.chunk === chunk, this.#say);
  }

  #lost(chunk: number): void {
    if (!this.#timeline.lose(chunk)) return;
    this.#announce.lost(chunk);
    this.#say({ output: "send-withdraw", ranges: [{ start: chunk, end: chunk + 1 }] });
  }

  #unwant(segment: number): void {
    this.#timeline.unwant(segment);
    this.#sources.cancelWhere(this.#timeline, ({ chunk }) => segmentAt(chunk) === segment, this.#say);
    this.#fetches.cancelSegment(this.#timeline, segment, this.#say);
    this.#announce.fetchingChanged();
  }

  #forget(segment: number): void {
    this.#unwant(segment);
    this.#sources.forget(segment);
    const gone = this.#timeline.forget(segment);
    if (gone === undefined) return;
    const held = gone.pieces.flatMap(({ isHeld }, piece) => (isHeld ? [position(segment, piece)] : []));
    for (const chunk of held) this.#announce.lost(chunk);
    if (this.#policy.sharing && held.length > 0) this.#say({ output: "send-withdraw", ranges: rangesOf(held) });
  }

  #setPolicy(policy: Policy): void {
    const before = this.#policy;
    this.#policy = policy;
    if (before.sharing && !policy.sharing) {
      this.#upload.stop(this.#say);
      this.#announce.clear();
      this.#say({ output: "send-withdraw", ranges: this.#timeline.held() });
    } else if (!before.sharing && policy.sharing) {
      this.#say({ output: "send-have", link: null, ranges: this.#timeline.held() });
    }
    if (before.p2p && !policy.p2p) this.#sources.cancelWhere(this.#timeline, () => true, this.#say);
  }

  /** Looks at everything that an input may have made possible. */
  #decide(now: number): void {
    if (this.#policy.p2p) fill(now, this.#order, this.#timeline, this.#sources, this.#say);
    for (const segment of this.#timeline.wanted()) this.#askOrigin(now, segment);
    this.#upload.fill(now, this.#policy, this.#timeline, this.#sources, this.#say);
    this.#announce.flush(now, () => this.#fetches.fetching(), this.#say);
  }

  /** Fetches what is missing of a segment from the origin, where it should help now. */
  #askOrigin(now: number, segment: number): void {
    while (this.#fetches.size < this.#rest.fetchesMax(now)) {
      const reason = this.#demand(now, segment);
      // The first run that neither the origin brings already nor a peer has brought half of.
      const run = reason && firstRun(this.#timeline, segment, (chunk) => this.#isOpen(chunk));
      if (reason === undefined || run === undefined) return;
      const { start, end } = run;
      this.#sources.cancelWhere(this.#timeline, ({ chunk }) => start <= chunk && chunk < end, this.#say);
      this.#fetches.start(now, this.#timeline, run, reason, this.#say);
      this.#announce.fetchingChanged();
    }
  }

  #isOpen(chunk: number): boolean {
    const piece = this.#timeline.piece(chunk);
    return piece !== undefined && !piece.isHeld && !piece.isFetched && !this.#sources.hasHalf(chunk, piece.bytes);
  }

  #demand(now: number, segment: number): OriginReason | undefined {
    if (!this.#policy.p2p) return "policy";
    const known = this.#timeline.segment(segment);
    if (known?.want === undefined) return undefined;
    return demand({
      now,
      beganUs: this.#beganUs,
      want: known.want,
      needsUs: this.#fetches.needsUs(missingBytes(known), this.#policy.reference_bytes_s_floor),
      hasLinks: this.#sources.hasLinks(now),
      isKnownToPeers: this.#sources.anyoneKnows(now, segment, this.#timeline),
      turn: turnOf(this.#order, known.order, this.#sources.links.values().map(({ order }) => order)),
    });
  }
}
