/** Bodies of published files: what is wanted ahead, where they begin and end, and what becomes of failures. */
import { expect, test } from "vitest";
import { OriginError, WRONG_BYTES } from "../src/origin.ts";
import type { Range } from "../src/protocol/ranges.ts";
import { Body, type Source } from "../src/release/body.ts";

const RUN_BYTES = 1 << 20;
const FILE_BYTES = 20 * RUN_BYTES + 5;
const byteAt = (at: number): number => (at * 7 + (at >> 12)) % 251;
const bytesOf = ({ start, end }: Range): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: end - start }, (_, at) => byteAt(start + at));

/** A file whose runs come at once, up to the byte `until`; from there on it fails. */
function source(until = FILE_BYTES, failure: Error = new OriginError(503, null, "busy")) {
  const deadlines: number[] = [];
  const signals: AbortSignal[] = [];
  const seen = { wantedBytes: 0, passed: 0, plain: [] as Range[], deadlines, signals };
  const file: Source = {
    async run(byte) {
      const start = byte - (byte % RUN_BYTES);
      return { position: start / RUN_BYTES, start, end: Math.min(start + RUN_BYTES, FILE_BYTES), chunks: [] };
    },
    async read({ start, end }, deadlineUs, signal, { piece }) {
      seen.wantedBytes = Math.max(seen.wantedBytes, end);
      deadlines.push(deadlineUs);
      signals.push(signal);
      const half = (start + end) >> 1;
      for (const part of [{ start, end: half }, { start: half, end }]) if (part.end <= until) piece(bytesOf(part));
      if (end > until) throw failure;
    },
    async plain(range) {
      seen.plain.push(range);
      return new Response(bytesOf(range));
    },
    passed: (bytes) => void (seen.passed += bytes),
  };
  return { file, seen };
}

async function whole(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function checkRange(start: number, end: number): Promise<void> {
  const body = await whole(Body.stream(source().file, { start, end }, undefined));
  expect(Buffer.compare(body, bytesOf({ start, end })), `${start}-${end}`).toBe(0);
}

test("a body has exactly the bytes of its range", async () => {
  await checkRange(0, FILE_BYTES);
  await checkRange(0, 1);
  await checkRange(RUN_BYTES - 1, RUN_BYTES + 1);
  await checkRange(RUN_BYTES * 3 + 700_000, RUN_BYTES * 3 + 700_001);
  await checkRange(FILE_BYTES - 1, FILE_BYTES);
});

test("at most 8 MiB ahead of the reader are wanted, the first at once", async () => {
  const { file, seen } = source();
  const reader = Body.stream(file, { start: 0, end: FILE_BYTES }, undefined).getReader();
  let taken = 0;
  for (let { value } = await reader.read(); value !== undefined; { value } = await reader.read()) {
    taken += value.length;
    expect(seen.wantedBytes).toBeLessThanOrEqual(taken + (8 << 20) + RUN_BYTES);
  }
  expect(taken).toBe(FILE_BYTES);
  const [first = 0, second = 0, third = 0] = seen.deadlines;
  expect(second - first).toBeGreaterThan(4_000_000);
  expect(third).toBeGreaterThan(second);
});

test("what the swarm cannot give is finished over plain HTTP", async () => {
  const until = 3 * RUN_BYTES + RUN_BYTES / 2;
  const { file, seen } = source(until);
  const body = await whole(Body.stream(file, { start: 10, end: FILE_BYTES }, undefined));
  expect(Buffer.compare(body, bytesOf({ start: 10, end: FILE_BYTES }))).toBe(0);
  expect(seen.plain).toEqual([{ start: until, end: FILE_BYTES }]);
  expect(seen.passed).toBe(FILE_BYTES - until);
});

test("a plain answer is asked for when the origin told to, and no earlier", async () => {
  const { file, seen } = source(0, new OriginError(503, 30_000, "busy"));
  const asked: number[] = [performance.now()];
  const { plain } = file;
  file.plain = async (range, signal) => {
    asked.push(performance.now());
    if (asked.length <= 3) throw new OriginError(503, asked.length * 30_000, "busy");
    return plain(range, signal);
  };
  const body = await whole(Body.stream(file, { start: 0, end: 100 }, undefined));
  expect(Buffer.compare(body, bytesOf({ start: 0, end: 100 }))).toBe(0);
  expect(seen.plain).toEqual([{ start: 0, end: 100 }]);
  expect(asked.length).toBe(4);
  const waits = asked.slice(1).map((at, before) => at - (asked[before] as number));
  for (const [at, wait] of waits.entries()) expect(wait).toBeGreaterThanOrEqual(30 * (at + 1) - 2);
});

test("who waits for the origin may go, and who is told too often is told so", async () => {
  const { file } = source(0, new OriginError(503, 60_000_000, "busy"));
  const reader = Body.stream(file, { start: 0, end: 100 }, AbortSignal.timeout(20)).getReader();
  await expect(reader.read()).rejects.toThrow();
  let asked = 0;
  file.plain = async () => {
    asked += 1;
    throw new OriginError(503, 1, "busy");
  };
  file.read = async () => {
    throw new OriginError(503, null, "busy");
  };
  await expect(whole(Body.stream(file, { start: 0, end: 100 }, undefined))).rejects.toThrow();
  expect(asked).toBe(21);
});

test("wrong bytes are not asked for again unverified", async () => {
  const { file, seen } = source(RUN_BYTES, new OriginError(WRONG_BYTES, null, "wrong"));
  await expect(whole(Body.stream(file, { start: 0, end: FILE_BYTES }, undefined))).rejects.toThrow("wrong");
  expect(seen.plain).toEqual([]);
});

test("who leaves wants nothing more", async () => {
  const leave = new AbortController();
  const { file, seen } = source();
  const aborted = Body.stream(file, { start: 0, end: FILE_BYTES }, leave.signal).getReader();
  await aborted.read();
  leave.abort(new Error("left"));
  await expect(aborted.read()).rejects.toThrow("left");
  expect(seen.signals.every((signal) => signal.aborted)).toBe(true);

  const other = source();
  const cancelled = Body.stream(other.file, { start: 0, end: FILE_BYTES }, undefined).getReader();
  await cancelled.read();
  await cancelled.cancel();
  expect(other.seen.signals.every((signal) => signal.aborted)).toBe(true);
});
