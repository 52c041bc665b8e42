/** An answer comes off its stream into one buffer, however its bytes are cut. */
import { describe, expect, test } from "vitest";
import { concat } from "../src/protocol/bytes.ts";
import { decodeFrame, encodeFrame, type Data, type Frame } from "../src/protocol/frame.ts";
import { readAnswer } from "../src/transport/answer_reader.ts";
import { streamOf } from "./streams.ts";

const TOTAL = 150_000;
const ANSWER = Uint8Array.from({ length: TOTAL }, (_, at) => (at * 7) % 251);
const REFUSE: Frame = { type: "refuse", request: 5, reason: "busy" };
/** An optional frame of a later version, larger than the room for heads. */
const LATER = concat(Uint8Array.of(21, 0x43, 0xe8), new Uint8Array(1000));

/** Data frames of an answer that is cut here. */
function dataOf(answer: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  return [0, ...cuts].map((start, at) => {
    const payload = answer.subarray(start, cuts[at] ?? answer.length);
    return encodeFrame({ type: "data", request: 5, encoding: "identity", total: answer.length, payload });
  });
}

describe.each(["bytes", undefined] as const)("a stream of type %s", (type) => {
  /** What was taken: of Data, where its payload lies in what is gathered, and what is gathered at the end. */
  async function read(bytes: Uint8Array, cut: number): Promise<{ taken: unknown[]; gathered: Uint8Array | undefined }> {
    const taken: unknown[] = [];
    let gathered: Uint8Array | undefined;
    await readAnswer({ decodeFrame }, streamOf(bytes, cut, type), TOTAL, (frame, answer) => {
      gathered = answer;
      const { byteOffset = 0, length = 0 } = (frame as Data).payload ?? {};
      taken.push(frame.type === "data" ? [byteOffset, byteOffset + length] : frame);
    });
    return { taken, gathered };
  }

  test.each([1 << 20, 65_536, 1_300, 64, 3])("cut at %i bytes", async (cut) => {
    const { taken, gathered } = await read(concat(...dataOf(ANSWER, [7, 65_536, 131_000])), cut);
    expect(taken).toEqual([[0, 7], [7, 65_536], [65_536, 131_000], [131_000, TOTAL]]);
    expect(Buffer.compare(gathered as Uint8Array, ANSWER)).toBe(0);
  });

  test("refusals pass, and frames of later versions are skipped", async () => {
    expect((await read(concat(LATER, encodeFrame(REFUSE)), 10)).taken).toEqual([REFUSE]);
    const [first, second] = dataOf(ANSWER, [65_000, 130_000]) as [Uint8Array, Uint8Array];
    const { taken } = await read(concat(first, LATER, second, encodeFrame(REFUSE)), 1_000);
    expect(taken).toEqual([[0, 65_000], [65_000, 130_000], REFUSE]);
  });

  test("an answer that breaks off ends without its last frame", async () => {
    const whole = concat(...dataOf(ANSWER, [65_000, 130_000]));
    for (const missing of [1, 19_990, 20_001]) {
      const { taken } = await read(whole.subarray(0, whole.length - missing), 4_096);
      expect(taken).toEqual([[0, 65_000], [65_000, 130_000]]);
    }
  });

  test("what breaks the rules is refused, and nothing beyond the answer's size is read", async () => {
    const [first, second, third] = dataOf(ANSWER, [65_000, 130_000]) as [Uint8Array, Uint8Array, Uint8Array];
    await expect(read(concat(first, second, third, third.subarray(0, 64)), 4_096)).rejects.toThrow("beyond its size");
    await expect(read(concat(first, first, second.subarray(0, 10)), 4_096)).resolves.toMatchObject({ taken: [[0, 65_000], [65_000, 130_000]] });
    await expect(read(concat(first, Uint8Array.of(34, 0)), 4_096)).rejects.toThrow("type 34");
    await expect(read(Uint8Array.of(12, 0x80, 1, 4, 0), 4_096)).rejects.toThrow("frame size");
    const larger = encodeFrame({ type: "data", request: 5, encoding: "identity", total: 1 << 20, payload: new Uint8Array(9) }, 65_500);
    await expect(read(concat(first, second, larger), 4_096)).rejects.toThrow("beyond its size");
  });
});
