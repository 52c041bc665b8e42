/** Reads frames off a stream of bytes. */
import { filler } from "../filler.ts";
import type { decodeFrame, encodeFrame, Frame } from "../protocol/frame.ts";
import { FRAME_BYTES_MAX } from "../protocol/limits.ts";

/** Reads and writes frames; handed in, since it belongs to the part of the SDK that is always there. */
export interface Frames {
  readonly encodeFrame: typeof encodeFrame;
  readonly decodeFrame: typeof decodeFrame;
}

/** A frame with its head. */
const FRAME_ROOM_BYTES = FRAME_BYTES_MAX + 16;
/** Rooms in turn, each taken once the one before is full: most streams are short, and the last holds any frame. */
const ROOMS_BYTES = [1 << 10, 16 << 10, 128 << 10] as const;

/**
 * Reads frames until the stream ends. Bytes come packet by packet; they gather in one buffer, where the browser puts them
 * itself if it can.
 */
export async function readFrames(
  { decodeFrame }: Pick<Frames, "decodeFrame">,
  readable: ReadableStream<Uint8Array>,
  take: (frame: Frame) => void,
): Promise<void> {
  const source = filler(readable);
  let room = new Uint8Array(ROOMS_BYTES[0]);
  // What was read and not yet taken.
  let [start, end] = [0, 0];
  try {
    for (;;) {
      if (end === room.length) {
        room = withRoom(room, start);
        end -= start;
        start = 0;
      }
      const filled = await source.read({ buffer: room, bytes: end });
      if (filled === undefined) return;
      room = filled.buffer;
      end = filled.bytes;
      for (;;) {
        const decoded = decodeFrame(room.subarray(start, end));
        if (decoded === undefined) break;
        const { frame, length } = decoded;
        // What is read next overwrites the room.
        if (frame.type !== "skipped") take(decodeFrame(room.slice(start, start + length))?.frame as Frame);
        start += length;
      }
      if (end - start > FRAME_ROOM_BYTES) throw new Error("a frame beyond its limit");
    }
  } catch (error) {
    source.cancel();
    throw error;
  }
}

/** The bytes from `start` on at the front of a room that has more. */
function withRoom(full: Uint8Array<ArrayBuffer>, start: number): Uint8Array<ArrayBuffer> {
  const room = new Uint8Array(ROOMS_BYTES.find((bytes) => bytes > full.length) ?? full.length);
  room.set(full.subarray(start));
  return room;
}
