/** A stream on this page: finds the signed entry of what the player asks for, and reads it from the swarm. */
import { piecePosition, pieceBytes, type SegmentEntry } from "../protocol/segment.ts";
import type { ContentName } from "../protocol/id.ts";
import type { Delivery } from "../session/readers.ts";
import type { Session } from "../session/session.ts";
import type { Entries } from "./entries.ts";

/** What a player asks for. */
export interface SegmentAsk {
  /** Path of the rendition's playlist. */
  readonly rendition: string;
  readonly sequence: number;
  /** Path of the segment. */
  readonly path: string;
  /** Where this viewer would fetch it. */
  readonly url: string;
  /** Part of the resource, where it is not the whole. */
  readonly range: { readonly start: number; readonly end: number } | undefined;
  /** When play stands still without it. */
  readonly deadlineUs: number;
}

export class Stream {
  readonly name: ContentName;
  readonly session: Session;
  readonly #entries: Entries;

  constructor(name: ContentName, session: Session, entries: Entries) {
    this.name = name;
    this.session = session;
    this.#entries = entries;
  }

  /** Takes an entry that was pushed, and passes on what was news. */
  async entry(bytes: Uint8Array): Promise<void> {
    try {
      if (await this.#entries.take(bytes)) this.session.passOn(bytes);
    } catch {
      // Not signed by who may, or a second word about a place: it goes no further.
    }
  }

  /** The signed entry of a segment; `undefined` where there is none by `untilUs`, or it is about something else. */
  async find({ rendition, sequence, path, range }: SegmentAsk, untilUs: number): Promise<SegmentEntry | undefined> {
    const entry = await this.#entries.find(rendition, sequence, untilUs);
    const isIt =
      entry?.path === path &&
      (range === undefined ? entry.offset === 0 : entry.offset === range.start && entry.bytes === range.end - range.start);
    return isIt ? entry : undefined;
  }

  /** Reads a segment. Rejects when neither peers nor the origin give it. */
  async read(
    entry: SegmentEntry,
    { url, range, deadlineUs }: SegmentAsk,
    signal: AbortSignal,
    delivery: Delivery,
  ): Promise<void> {
    const { epoch, rendition, sequence } = entry.place;
    const stream = this.name;
    const shelf = this.session.shelf(`${stream} ${epoch} ${rendition}`, (release, sharing) => {
      return { type: "rendition", release, stream, epoch, rendition, sharing };
    });
    const start = piecePosition(sequence, 0);
    if (shelf === undefined || start === undefined) throw new Error("too many renditions");
    const pieces = entry.pieces.map((id, piece) => ({ id, bytes: pieceBytes(entry, piece) }));
    const source = { url, offset: entry.offset, isWhole: range === undefined };
    await this.session.read(this.session.segment(shelf, start, pieces, source), deadlineUs, signal, delivery);
  }
}
