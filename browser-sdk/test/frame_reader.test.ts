/** Frames come off a stream whole and in order, however its bytes are cut. */
import { describe, expect, test } from "vitest";
import { concat } from "../src/protocol/bytes.ts";
import { decodeFrame, encodeFrame, type Frame } from "../src/protocol/frame.ts";
import { readFrames } from "../src/transport/frame_reader.ts";
import { streamOf } from "./streams.ts";

const data = (length: number, byte: number): Frame => ({
  type: "data",
  request: 5,
  encoding: "identity",
  total: 1 << 20,
  payload: new Uint8Array(length).fill(byte),
});
const FRAMES: readonly Frame[] = [
  { type: "bye", reason: "first" },
  ...Array.from({ length: 12 }, (_, i) => data(i % 3 === 0 ? 7 : 64 << 10, i)),
  { type: "proof", signature: new Uint8Array(64).fill(9) },
];

/** The head of Data of 65 KiB. */
function overLimit(controller: ReadableStreamDefaultController<Uint8Array> | ReadableByteStreamController): void {
  controller.enqueue(Uint8Array.of(12, 0x80, 1, 4, 0));
}

/** What is compared of a frame, taken at once, as views of a stream have to be. */
function shown(frame: Frame): unknown {
  return frame.type === "data" ? { ...frame, payload: Buffer.from(frame.payload).toString("latin1") } : frame;
}

describe.each(["bytes", undefined] as const)("a stream of type %s", (type) => {
  test.each([1_300, 1 << 10, 5, 65_536, 1 << 22])("cut at %i bytes", async (cut) => {
    const taken: unknown[] = [];
    await readFrames({ decodeFrame }, streamOf(concat(...FRAMES.map((frame) => encodeFrame(frame))), cut, type), (frame: Frame) => taken.push(shown(frame)));
    expect(taken).toEqual(FRAMES.map(shown));
  });

  test("frames of later versions are skipped, critical ones end it", async () => {
    const check = async (bytes: Uint8Array, expected: number): Promise<void> => {
      let taken = 0;
      await readFrames({ decodeFrame }, streamOf(bytes, 3, type), () => (taken += 1));
      expect(taken).toBe(expected);
    };
    const bye = encodeFrame({ type: "bye", reason: "" });
    await check(concat(Uint8Array.of(21, 1, 0), bye), 1);
    await check(concat(bye, bye.subarray(0, 1)), 1);
    await expect(check(concat(bye, Uint8Array.of(34, 0)), 0)).rejects.toThrow("type 34");
  });

  test("a frame beyond the limit ends it before its bytes have come", async () => {
    let cancelled = false;
    const cancel = (): void => void (cancelled = true);
    const stream =
      type === undefined ? new ReadableStream({ start: overLimit, cancel }) : new ReadableStream({ type, start: overLimit, cancel });
    await expect(readFrames({ decodeFrame }, stream, () => undefined)).rejects.toThrow("frame size");
    expect(cancelled).toBe(true);
  });
});
