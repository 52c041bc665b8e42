/**
 * Reads an answer off its stream, its payload straight into a buffer of the answer's size: copies, and buffers that are
 * taken afresh for each frame, cost a page more than all the rest of a fast link.
 */
import { filler, type Filled } from "../filler.ts";
import type { Frame } from "../protocol/frame.ts";
import { FRAME_BYTES_MAX } from "../protocol/limits.ts";
import type { Frames } from "./frame_reader.ts";

/** Room for the head of a frame: little, since what follows has a place of its own. */
const HEAD_ROOM_BYTES = 64;

/**
 * Reads the frames of an answer of `bytes` until the stream ends. With Data, `take` gets the buffer that holds the answer
 * up to the end of this frame. Rejects when there is more than `bytes`.
 */
export async function readAnswer(
  { decodeFrame }: Pick<Frames, "decodeFrame">,
  readable: ReadableStream<Uint8Array>,
  bytes: number,
  take: (frame: Frame, gathered?: Uint8Array) => void,
): Promise<void> {
  const source = filler(readable);
  let head: Filled = { buffer: new Uint8Array(HEAD_ROOM_BYTES), bytes: 0 };
  let answer: Filled | undefined;
  try {
    for (;;) {
      if (head.bytes === head.buffer.length) head = withTwiceTheRoom(head);
      const read = await source.read(head);
      if (read === undefined) return;
      head = read;
      for (;;) {
        const decoded = decodeFrame(head.buffer.subarray(0, head.bytes), true);
        if (decoded === undefined) break;
        const { frame, length } = decoded;
        if (frame.type === "data") {
          const start = answer?.bytes ?? 0;
          const missing = Math.max(length - head.bytes, 0);
          const end = start + frame.payload.length + missing;
          if (end > bytes) throw new Error("an answer beyond its size");
          answer ??= { buffer: new Uint8Array(bytes), bytes: 0 };
          answer.buffer.set(frame.payload, start);
          answer = { buffer: answer.buffer, bytes: end - missing };
          while (answer.bytes < end) {
            const { buffer, bytes: filled }: Filled = answer;
            answer = await source.read({ buffer: buffer.subarray(0, end), bytes: filled });
            if (answer === undefined) return;
          }
          take({ ...frame, payload: answer.buffer.subarray(start, end) }, answer.buffer);
        } else if (frame.type !== "skipped") {
          take(frame);
        }
        head = { buffer: head.buffer, bytes: head.bytes - Math.min(length, head.bytes) };
        head.buffer.copyWithin(0, length);
      }
    }
  } catch (error) {
    source.cancel();
    throw error;
  }
}

function withTwiceTheRoom({ buffer, bytes }: Filled): Filled {
  if (bytes > FRAME_BYTES_MAX) throw new Error("a frame beyond its limit");
  const larger = new Uint8Array(bytes * 2);
  larger.set(buffer);
  return { buffer: larger, bytes };
}
