/** Which link is asked for what; `late` decides when a request is given up, moved or doubled. */
import type { Range } from "../protocol/ranges.ts";
import { ById } from "./by_id.ts";
import type { Locality, RequestEnd } from "./input.ts";
import { within, type Ledger } from "./ledger.ts";
import { BUSY_US, LINKS_MAX } from "./limits.ts";
import { Link } from "./link.ts";
import type { Say } from "./output.ts";
import { Pace } from "./pace.ts";
import type { Picker } from "./pick.ts";
import { quotient } from "./whole.ts";

/** An own request to a peer. */
export interface PeerRequest {
  readonly link: number;
  readonly chunk: number;
  readonly askedUs: number;
  received: number;
}

/** All links and the requests on them. */
export class Assign {
  readonly links = new ById<Link>();
  readonly requests = new ById<PeerRequest>();
  /** Longest round trip of all links. */
  rttUsMax = 0;
  /** Bytes asked for twice at the end. */
  duplicateBytes = 0;
  /** Links that may be asked for more than at the last look. */
  readonly #dirty = new Set<number>();
  #nextRequest = 0;

  /** Whether the link could be taken. */
  linkUp(now: number, link: number, len: number, locality: Locality, rttUs: number): boolean {
    if (this.links.size >= LINKS_MAX || this.links.has(link)) return false;
    this.links.add(link, new Link(len, new Pace(locality, rttUs, now)));
    this.rttUsMax = Math.max(this.rttUsMax, rttUs);
    return true;
  }

  linkDown(ledger: Ledger, link: number): void {
    const gone = this.links.take(link);
    if (gone === undefined) return;
    this.#dirty.delete(link);
    this.rttUsMax = Math.max(0, ...this.links.values().map(({ pace }) => pace.rttUs));
    for (const chunk of gone.has) ledger.removeHolder(chunk);
    for (const request of this.requestsOn(link)) this.#dropRequest(ledger, request);
  }

  /** How far a peer is, in thousandths of the release. */
  progressOf(link: number): number {
    return this.links.get(link)?.has.permille ?? 0;
  }

  /** Mean of how far the peers are, in thousandths of the release; none without links. */
  meanProgress(): number | undefined {
    if (this.links.size === 0) return undefined;
    const sum = this.links.values().reduce((all, { has }) => all + has.permille, 0);
    return quotient(sum, this.links.size);
  }

  /** Whether any link could be asked, now or soon. */
  hasUsefulLink(now: number): boolean {
    return this.links.values().some((link) => !link.pace.isResting(now) && link.has.count > 0);
  }

  /** Whether some neighbour fetches the position from the origin. */
  isFetchedNearby(chunk: number): boolean {
    const holds = ({ start, end }: Range): boolean => start <= chunk && chunk < end;
    return this.links.values().some(({ fetching }) => fetching.some(holds));
  }

  have(ledger: Ledger, link: number, ranges: readonly Range[]): void {
    const has = this.links.get(link)?.has;
    if (has === undefined) return;
    for (const chunk of within(has.len, ranges)) {
      if (!has.add(chunk)) continue;
      ledger.addHolder(chunk);
      if (ledger.isFree(chunk)) this.#dirty.add(link);
    }
  }

  withdraw(ledger: Ledger, link: number, ranges: readonly Range[]): void {
    const has = this.links.get(link)?.has;
    if (has === undefined) return;
    for (const chunk of within(has.len, ranges)) if (has.delete(chunk)) ledger.removeHolder(chunk);
  }

  fetching(link: number, ranges: readonly Range[]): void {
    const entry = this.links.get(link);
    if (entry !== undefined) entry.fetching = ranges;
  }

  progress(now: number, request: number, bytes: number): void {
    const entry = this.requests.get(request);
    if (entry === undefined) return;
    entry.received += bytes;
    this.links.get(entry.link)?.pace.received(now, bytes);
  }

  /** A request ended. The link and position it was about, unless it is not known (any more). */
  ended(now: number, ledger: Ledger, id: number, end: RequestEnd): PeerRequest | undefined {
    const request = this.requests.take(id);
    if (request === undefined) return undefined;
    const { chunk, askedUs, received } = request;
    const link = this.#link(request.link);
    const whole = ledger.bytes(chunk);
    this.#dirty.add(request.link);
    if (end === "verified") {
      link.pace.received(now, Math.max(whole - received, 0));
      link.pace.ended(now - askedUs);
      return request;
    }
    link.pace.ended();
    if (end === "corrupt") {
      ledger.wasteCorrupt(whole);
    } else if (end === "failed") {
      link.pace.rest(now, BUSY_US);
      ledger.waste(received);
    } else if (end.refused === "busy") {
      link.pace.rest(now, BUSY_US);
    } else if (end.refused === "exhausted") {
      link.pace.isExhausted = true;
    } else if (link.has.delete(chunk)) {
      ledger.removeHolder(chunk);
    }
    this.giveUp(ledger, chunk);
    return request;
  }

  /** A chunk came in: other requests for it are taken back. */
  takeBack(ledger: Ledger, chunk: number, say: Say): void {
    this.cancel(
      ledger,
      this.requests.idsWhere((request) => request.chunk === chunk),
      say,
    );
  }

  /** Takes back everything. */
  takeBackAll(ledger: Ledger, say: Say): void {
    this.cancel(ledger, [...this.requests.ids()], say);
  }

  /** Asks each link that has room, one chunk a round and `most` in all, nearest and fastest links first. */
  fill(now: number, most: number, ledger: Ledger, picker: Picker, say: Say): void {
    if (this.#dirty.size === 0 || most === 0) return;
    let left = most;
    let order = [...this.#dirty].map((id) => ({ id, link: this.#link(id) }));
    order.sort((a, b) => a.link.pace.distance - b.link.pace.distance || b.link.pace.bytesS - a.link.pace.bytesS || a.id - b.id);
    this.#dirty.clear();
    while (order.length > 0) {
      order = order.filter(({ id, link }) => {
        if (left === 0) {
          this.#dirty.add(id);
          return false;
        }
        const chunk = link.pace.hasRoom(now, ledger.meanBytes) ? picker.pick(ledger, link.has) : undefined;
        if (chunk !== undefined) this.ask(now, ledger, id, chunk, say);
        // A resting link is looked at again by the tick.
        else if (link.pace.isResting(now) && !link.pace.isExhausted) this.#dirty.add(id);
        left -= chunk === undefined ? 0 : 1;
        return chunk !== undefined;
      });
    }
  }

  ask(now: number, ledger: Ledger, link: number, chunk: number, say: Say): void {
    const request = this.#nextRequest;
    this.#nextRequest += 1;
    ledger.ask(chunk);
    this.#link(link).pace.asked(now);
    this.requests.add(request, { link, chunk, askedUs: now, received: 0 });
    say({ output: "request", link, request, chunk });
  }

  cancel(ledger: Ledger, requests: readonly number[], say: Say): void {
    for (const request of requests) {
      const dropped = this.#dropRequest(ledger, request);
      if (dropped === undefined) continue;
      this.#link(dropped.link).pace.ended();
      this.#dirty.add(dropped.link);
      say({ output: "cancel", request });
    }
  }

  /** The link let its requests down: they are taken back, and it rests. */
  letDown(now: number, ledger: Ledger, link: number, say: Say): void {
    this.cancel(ledger, this.requestsOn(link), say);
    this.#link(link).pace.letDown(now);
    this.#dirty.add(link);
  }

  /** A chunk is wanted, too. */
  want(ledger: Ledger, chunk: number): void {
    ledger.want(chunk);
    this.#offer(ledger, chunk);
  }

  /** A source that was asked for a chunk is out of it. */
  giveUp(ledger: Ledger, chunk: number): void {
    ledger.giveUp(chunk);
    this.#offer(ledger, chunk);
  }

  /** A chunk may be free: links that hold it are looked at. */
  #offer(ledger: Ledger, chunk: number): void {
    if (!ledger.isFree(chunk)) return;
    for (const link of this.links.idsWhere(({ has }) => has.has(chunk))) this.#dirty.add(link);
  }

  requestsOn(link: number): readonly number[] {
    return this.requests.idsWhere((request) => request.link === link);
  }

  #dropRequest(ledger: Ledger, id: number): PeerRequest | undefined {
    const request = this.requests.take(id);
    if (request === undefined) return undefined;
    ledger.waste(request.received);
    this.giveUp(ledger, request.chunk);
    return request;
  }

  #link(id: number): Link {
    const link = this.links.get(id);
    if (link === undefined) throw new Error("requests and marks end with their link");
    return link;
  }
}
