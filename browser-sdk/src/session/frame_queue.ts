/** From a fresh wire to a link: both read its frames, one after the other. */
import type { Frame } from "../protocol/frame.ts";
import type { Wire } from "../transport/wire.ts";
import type { Link } from "./link.ts";

/** The frames of a wire: one by one while the sides introduce themselves, then to the link. */
export class FrameQueue {
  readonly #frames: Frame[] = [];
  #link: Link | undefined;
  #isClosed = false;
  #wake: () => void = () => undefined;

  constructor(wire: Wire) {
    wire.open({
      frame: (frame) => {
        if (this.#link !== undefined) return this.#link.frame(frame);
        if (this.#frames.length >= 64) return wire.close();
        this.#frames.push(frame);
        this.#wake();
      },
      answer: (frame, gathered) => this.#link?.answered(frame, gathered),
      broken: (request) => this.#link?.broken(request),
      // Only what was announced is asked for, and nothing was yet.
      asked: (request) => (this.#link === undefined ? wire.close() : this.#link.asked(request)),
      cancelled: (request) => this.#link?.cancelled(request),
      closed: () => {
        this.#isClosed = true;
        this.#wake();
        this.#link?.closed();
      },
    });
  }

  async next(): Promise<Frame> {
    while (this.#frames.length === 0 && !this.#isClosed) await new Promise<void>((resolve) => (this.#wake = resolve));
    const frame = this.#frames.shift();
    if (frame === undefined) throw new Error("the other side left during Hello");
    return frame;
  }

  /** From now on everything goes to the link. */
  hand(link: Link): void {
    this.#link = link;
    for (const frame of this.#frames.splice(0)) link.frame(frame);
    if (this.#isClosed) link.closed();
  }
}
