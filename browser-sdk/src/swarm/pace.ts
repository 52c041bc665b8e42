/** How far a peer is, and how it answers: what both cores know of a link, whatever the peer holds. */
import { Average, Rate } from "./estimate.ts";
import { LOCALITIES, type Locality } from "./input.ts";
import { DEPTH_COVER_US, DEPTH_MAX, DEPTH_MIN, REST_DOUBLINGS_MAX, REST_US, STALL_US, UNKNOWN_BYTES_S } from "./limits.ts";
import { quotient } from "./whole.ts";

/** The pace of one link. */
export class Pace {
  /** How far away the peer is, in steps. */
  readonly distance: number;
  readonly rttUs: number;
  /** Own requests not yet ended. */
  outstanding = 0;
  /** The peer hands out nothing more. */
  isExhausted = false;
  readonly #rate = new Rate();
  /** Time from asking to the end of a request. */
  readonly #serviceUs = new Average();
  /** Last time that bytes came, or that the first of several requests was made. */
  #lastBytesUs: number;
  #restUntil = 0;
  /** How often in a row the link let requests down; each time it rests twice as long. */
  #letdowns = 0;

  constructor(locality: Locality, rttUs: number, now: number) {
    this.distance = LOCALITIES.indexOf(locality);
    this.rttUs = rttUs;
    this.#lastBytesUs = now;
  }

  /** Bytes a second, for comparing links. */
  get bytesS(): number {
    return this.#rate.bytesS ?? 0;
  }

  /** Mean time from asking to the end of a request, where one was answered. */
  get serviceUs(): number | undefined {
    return this.#serviceUs.value;
  }

  /** Time that one more request would take, as far as is known. */
  get expectedUs(): number {
    return this.#serviceUs.value ?? this.rttUs + 500_000;
  }

  /** Time after which a further request for `bytes` would be answered, behind those that are out. */
  expectedAfterUs(bytes: number): number {
    const rate = Math.max(this.#rate.bytesS ?? UNKNOWN_BYTES_S, 1);
    return this.rttUs + quotient((this.outstanding + 1) * bytes * 1_000_000, rate);
  }

  /** A request goes out. */
  asked(now: number): void {
    if (this.outstanding === 0) {
      this.#rate.begin(now);
      this.#lastBytesUs = now;
    }
    this.outstanding += 1;
  }

  /** Bytes came in. */
  received(now: number, bytes: number): void {
    this.#rate.add(now, bytes);
    this.#lastBytesUs = now;
  }

  /** A request is over; `servedUs` after it was asked, where it was answered in full. */
  ended(servedUs?: number): void {
    this.outstanding -= 1;
    if (servedUs !== undefined) {
      this.#serviceUs.add(servedUs);
      this.#letdowns = 0;
    }
  }

  /** Leaves the link alone for a while. */
  rest(now: number, timeUs: number): void {
    this.#restUntil = Math.max(this.#restUntil, now + timeUs);
  }

  /** The link stalled or trickled: it rests, longer each time. */
  letDown(now: number): void {
    this.rest(now, REST_US * 2 ** Math.min(this.#letdowns, REST_DOUBLINGS_MAX));
    this.#letdowns += 1;
  }

  isResting(now: number): boolean {
    return this.isExhausted || now < this.#restUntil;
  }

  /** Whether any request may go out now. */
  hasRoom(now: number, chunkBytes: number): boolean {
    return !this.isResting(now) && this.outstanding < this.#depth(chunkBytes);
  }

  /** Whether requests are out and nothing comes, for longer than this link's own pace explains. */
  isStalled(now: number): boolean {
    const patienceUs = Math.max(STALL_US, (this.#serviceUs.value ?? 0) * 4);
    return this.outstanding > 0 && now - this.#lastBytesUs >= patienceUs;
  }

  /** Requests that keep the path full: rate times round trip, and a little for turning around. */
  #depth(chunkBytes: number): number {
    if (this.#letdowns > 0) return 1;
    const flight = quotient(this.bytesS * (this.rttUs + DEPTH_COVER_US), 1_000_000);
    return Math.min(quotient(flight, chunkBytes) + DEPTH_MIN, DEPTH_MAX);
  }
}
