/** The links, what they hold, and what was asked of them. */
import type { Range } from "../../protocol/ranges.ts";
import { ById } from "../by_id.ts";
import type { Locality, RequestEnd } from "../input.ts";
import { BUSY_US, LINKS_MAX, SILENT_US } from "../limits.ts";
import type { Say } from "../output.ts";
import { Pace } from "../pace.ts";
import type { Neighbours } from "../upload.ts";
import { quotient } from "../whole.ts";
import { segmentAt, type Timeline } from "./timeline.ts";

/** A link and what its peer says. */
export interface SourceLink {
  readonly pace: Pace;
  readonly has: Set<number>;
  /** Segments that the peer fetches from the origin now. */
  fetching: Set<number>;
  /** The peer's place among neighbours. */
  order: number;
  /** Until when the peer may still be about to say what it has. */
  silentUntilUs: number;
}

/** An own request to a peer. */
export interface PieceRequest {
  readonly link: number;
  readonly chunk: number;
  readonly askedUs: number;
  received: number;
}

export class Sources implements Neighbours {
  readonly links = new ById<SourceLink>();
  readonly requests = new ById<PieceRequest>();
  #nextRequest = 0;

  get rttUsMax(): number {
    return Math.max(0, ...this.links.values().map(({ pace }) => pace.rttUs));
  }

  /** Peers of a stream need different parts of it: none is ahead of the others. */
  progressOf(): number {
    return 0;
  }

  /** Whether the link could be taken. */
  linkUp(now: number, link: number, locality: Locality, rttUs: number): boolean {
    if (this.links.size >= LINKS_MAX || this.links.has(link)) return false;
    const pace = new Pace(locality, rttUs, now);
    const silentUntilUs = now + SILENT_US;
    this.links.add(link, { pace, has: new Set(), fetching: new Set(), order: link, silentUntilUs });
    return true;
  }

  linkDown(timeline: Timeline, link: number): void {
    if (this.links.take(link) === undefined) return;
    for (const request of this.requests.idsWhere((one) => one.link === link)) this.#drop(timeline, request);
  }

  have(timeline: Timeline, id: number, ranges: readonly Range[]): void {
    const link = this.links.get(id);
    if (link === undefined) return;
    for (const chunk of timeline.known(ranges)) link.has.add(chunk);
    link.silentUntilUs = 0;
  }

  withdraw(timeline: Timeline, link: number, ranges: readonly Range[]): void {
    for (const chunk of timeline.known(ranges)) this.links.get(link)?.has.delete(chunk);
  }

  fetching(timeline: Timeline, id: number, ranges: readonly Range[]): void {
    const link = this.links.get(id);
    if (link !== undefined) link.fetching = new Set(timeline.known(ranges).map(segmentAt));
  }

  /** A segment is forgotten here: what peers say of it is too. */
  forget(segment: number): void {
    for (const { has, fetching } of this.links.values()) {
      for (const chunk of has) if (segmentAt(chunk) === segment) has.delete(chunk);
      fetching.delete(segment);
    }
  }

  /** Takes back the requests that `isMeant` is true for. */
  cancelWhere(timeline: Timeline, isMeant: (request: PieceRequest) => boolean, say: Say): void {
    for (const request of this.requests.idsWhere(isMeant)) {
      this.#drop(timeline, request)?.pace.ended();
      say({ output: "cancel", request });
    }
  }

  ask(now: number, timeline: Timeline, link: number, chunk: number, say: Say): void {
    const request = this.#nextRequest;
    this.#nextRequest += 1;
    const piece = timeline.piece(chunk);
    if (piece !== undefined) piece.asked += 1;
    this.links.get(link)?.pace.asked(now);
    this.requests.add(request, { link, chunk, askedUs: now, received: 0 });
    say({ output: "request", link, request, chunk });
  }

  /** Bytes came in; the position that they are of. */
  progress(now: number, id: number, bytes: number): number | undefined {
    const request = this.requests.get(id);
    if (request === undefined) return undefined;
    request.received += bytes;
    this.links.get(request.link)?.pace.received(now, bytes);
    return request.chunk;
  }

  /** A request ended. What it was, unless it is not known (any more). */
  ended(now: number, timeline: Timeline, id: number, end: RequestEnd): PieceRequest | undefined {
    const request = this.requests.take(id);
    const link = request && this.links.get(request.link);
    if (request === undefined || link === undefined) return undefined;
    const piece = timeline.piece(request.chunk);
    if (piece !== undefined) piece.asked -= 1;
    const bytes = piece?.bytes ?? 0;
    const isGood = end === "verified";
    link.pace.received(now, isGood ? Math.max(bytes - request.received, 0) : 0);
    link.pace.ended(isGood ? now - request.askedUs : undefined);
    if (end === "corrupt") {
      timeline.wasteBytes += bytes;
      timeline.corruptBytes += bytes;
    } else if (end === "failed") {
      link.pace.rest(now, BUSY_US);
      timeline.wasteBytes += request.received;
    } else if (end !== "verified") {
      if (end.refused === "busy") link.pace.rest(now, BUSY_US);
      else if (end.refused === "exhausted") link.pace.isExhausted = true;
      else link.has.delete(request.chunk);
    }
    return request;
  }

  /** Gives up what stalls: its link rests, and others are asked. */
  dropStalled(now: number, timeline: Timeline, say: Say): void {
    for (const id of this.links.idsWhere(({ pace }) => pace.isStalled(now))) {
      this.cancelWhere(timeline, ({ link }) => link === id, say);
      this.links.get(id)?.pace.letDown(now);
    }
  }

  /** Whether some peer that may be asked has something of the segment, is about to, or has said nothing yet. */
  anyoneKnows(now: number, segment: number, timeline: Timeline): boolean {
    const pieces = timeline.positions(segment);
    return this.links.values().some(({ pace, has, fetching, silentUntilUs }) => {
      const knows = now < silentUntilUs || fetching.has(segment) || pieces.some((chunk) => has.has(chunk));
      return knows && !pace.isResting(now);
    });
  }

  /** Whether some peer may be asked. */
  hasLinks(now: number): boolean {
    return this.links.values().some(({ pace }) => !pace.isResting(now));
  }

  /** Whether a peer has brought half of a piece already. */
  hasHalf(chunk: number, bytes: number): boolean {
    const least = quotient(bytes, 2);
    return bytes > 1 && this.requests.values().some((one) => one.chunk === chunk && one.received >= least);
  }

  #drop(timeline: Timeline, id: number): SourceLink | undefined {
    const request = this.requests.take(id);
    if (request === undefined) return undefined;
    timeline.wasteBytes += request.received;
    const piece = timeline.piece(request.chunk);
    if (piece !== undefined) piece.asked -= 1;
    return this.links.get(request.link);
  }
}

