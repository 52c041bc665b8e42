/** Which requests of peers are served, in what order, and within which budget. */
import { ById } from "./by_id.ts";
import { Rate } from "./estimate.ts";
import { AHEAD_US, ASKED_PER_LINK_MAX, GIVEN_US, HANDICAP_US_MAX, SLOT_COVER_US, SLOTS_MAX, SLOTS_MIN } from "./limits.ts";
import type { Say, ServeRefusal } from "./output.ts";
import type { Policy } from "./policy.ts";
import { quotient } from "./whole.ts";

/** What is held here. */
export interface Shelf {
  isHeld(chunk: number): boolean;
  bytes(chunk: number): number;
  /** Size of a usual chunk, in bytes. */
  readonly meanBytes: number;
}

/** What is known of those who ask. */
export interface Neighbours {
  /** How far a peer is, in thousandths of the release. */
  progressOf(link: number): number;
  /** Longest round trip of all links. */
  readonly rttUsMax: number;
}

/** A request of a peer. */
interface Asked {
  readonly request: number;
  readonly chunk: number;
  readonly atUs: number;
}

/** The serving side. */
export class Upload {
  /** Requests that wait, of each link in their order. */
  readonly #waiting = new ById<Asked[]>();
  /** Requests being served, by link and number, and the bytes promised to each. */
  readonly #serving = new Map<string, { readonly link: number; readonly bytes: number }>();
  /**
   * How often each position was handed out: what was given least goes first, so that the swarm has all of it soon.
   * Positions beyond it share a count.
   */
  readonly #given: Uint8Array;
  readonly #rate = new Rate();
  #promisedBytes = 0;
  /** What may be sent now under the rate cap, in bytes; below zero where the last chunk went ahead of it. */
  #tokens = 1;
  /** Time up to which tokens were earned. */
  #filledUs: number;
  sentBytes = 0;

  /** Counts `len` positions by themselves, at least one. */
  constructor(len: number, now: number) {
    this.#given = new Uint8Array(Math.max(len, 1));
    this.#filledUs = now;
  }

  /** A peer asks. What cannot be served is refused at once. */
  asked(now: number, policy: Policy, shelf: Shelf, link: number, request: number, chunk: number, say: Say): void {
    const queue = this.#waiting.get(link);
    let reason: ServeRefusal | undefined;
    if (!policy.sharing) reason = "not-sharing";
    else if (!shelf.isHeld(chunk)) reason = "not-held";
    else if ((queue?.length ?? 0) >= ASKED_PER_LINK_MAX) reason = "busy";
    const asked = { request, chunk, atUs: now };
    if (reason !== undefined) say({ output: "refuse", link, request, reason });
    else if (queue === undefined) this.#waiting.add(link, [asked]);
    else queue.push(asked);
  }

  cancelled(link: number, request: number): void {
    const queue = this.#waiting.get(link);
    const at = queue?.findIndex((asked) => asked.request === request) ?? -1;
    if (at >= 0) queue?.splice(at, 1);
  }

  linkDown(link: number): void {
    this.#waiting.take(link);
    for (const [key, serving] of this.#serving) if (serving.link === link) this.#end(key);
  }

  sent(now: number, link: number, request: number, bytes: number): void {
    if (!this.#end(keyOf(link, request))) return;
    this.sentBytes += bytes;
    this.#rate.add(now, bytes);
  }

  /** Refuses all that waits, when the owner no longer shares. */
  stop(say: Say): void {
    for (const link of this.#waiting.ids()) {
      for (const { request } of this.#waiting.get(link)?.splice(0) ?? []) {
        say({ output: "refuse", link, request, reason: "not-sharing" });
      }
    }
  }

  /** Serves while slots and budget last. */
  fill(now: number, policy: Policy, shelf: Shelf, neighbours: Neighbours, say: Say): void {
    this.#fillTokens(now, policy);
    const slots = this.#slots(shelf.meanBytes, neighbours.rttUsMax);
    while (this.#serving.size < slots) {
      const link = this.#nextLink(neighbours);
      if (link === undefined || this.#isOverRate(policy)) return;
      const asked = this.#waiting.get(link)?.shift();
      if (asked !== undefined) this.#serve(now, policy, shelf, link, asked, say);
    }
  }

  /** When the rate cap lets the next chunk go, if something waits for it. */
  timeout(policy: Policy): number | undefined {
    const rate = policy.upload_bytes_s_max;
    if (rate === null || !this.#isOverRate(policy)) return undefined;
    if (this.#waiting.values().every((queue) => queue.length === 0)) return undefined;
    const owed = -Math.min(this.#tokens, 0) + 1;
    return this.#filledUs + Math.ceil((owed * 1_000_000) / Math.max(rate, 1));
  }

  #serve(now: number, policy: Policy, shelf: Shelf, link: number, { request, chunk }: Asked, say: Say): void {
    const bytes = shelf.bytes(chunk);
    let reason: ServeRefusal | undefined;
    if (!shelf.isHeld(chunk)) reason = "not-held";
    else if (this.sentBytes + this.#promisedBytes + bytes > (policy.upload_bytes_max ?? Infinity)) reason = "budget";
    if (reason !== undefined) return say({ output: "refuse", link, request, reason });
    if (this.#serving.size === 0) this.#rate.begin(now);
    this.#given[chunk % this.#given.length] = Math.min(this.#givenOf(chunk) + 1, 255);
    this.#promisedBytes += bytes;
    this.#tokens -= bytes;
    this.#serving.set(keyOf(link, request), { link, bytes });
    say({ output: "serve", link, request, chunk });
  }

  /**
   * The link to serve next: first come, first served, but what was given before and who is ahead of the others wait a
   * little longer. The handicap is bounded, so that nobody starves.
   */
  #nextLink(neighbours: Neighbours): number | undefined {
    const waiting = this.#waiting.ids().flatMap((link) => {
      const first = this.#waiting.get(link)?.[0];
      return first === undefined ? [] : [{ link, first, progress: neighbours.progressOf(link) }];
    });
    const slowest = Math.min(...waiting.map(({ progress }) => progress));
    let next: { readonly link: number; readonly rank: number } | undefined;
    for (const { link, first, progress } of waiting) {
      const givenUs = this.#givenOf(first.chunk) * GIVEN_US;
      const rank = first.atUs + Math.min((progress - slowest) * AHEAD_US + givenUs, HANDICAP_US_MAX);
      if (next === undefined || rank < next.rank) next = { link, rank };
    }
    return next?.link;
  }

  #givenOf(chunk: number): number {
    return this.#given[chunk % this.#given.length] as number;
  }

  /**
   * Chunks under way that keep the uplink busy, and not many more: what is beyond it only fills the line's buffer. Of
   * each, half is still to go on average; and its place is free again a round trip after its last byte has left.
   */
  #slots(chunkBytes: number, rttUs: number): number {
    const flight = quotient((this.#rate.bytesS ?? 0) * (SLOT_COVER_US + rttUs), 1_000_000);
    return Math.min(quotient(flight, Math.max(quotient(chunkBytes, 2), 1)) + SLOTS_MIN, SLOTS_MAX);
  }

  /** A token bucket of a quarter of a second. A chunk may go ahead of its tokens, which the next ones wait for. */
  #fillTokens(now: number, { upload_bytes_s_max: rate }: Policy): void {
    if (rate === null) return;
    const earned = quotient(rate * Math.max(now - this.#filledUs, 0), 1_000_000);
    if (earned > 0) {
      this.#tokens = Math.min(this.#tokens + earned, quotient(rate, 4) + 1);
      this.#filledUs = now;
    }
  }

  #isOverRate(policy: Policy): boolean {
    return policy.upload_bytes_s_max !== null && this.#tokens <= 0;
  }

  /** A serve is over, whichever way; whether it was known. */
  #end(key: string): boolean {
    this.#promisedBytes -= this.#serving.get(key)?.bytes ?? 0;
    return this.#serving.delete(key);
  }
}

const keyOf = (link: number, request: number): string => `${link} ${request}`;
