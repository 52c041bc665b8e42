/** Files of releases: ranges, runs, addresses and types. */
import { expect, test } from "vitest";
import type { ChunkId } from "../src/protocol/id.ts";
import type { RelPath } from "../src/protocol/path.ts";
import { rangeOf, runAt, type PlacedPart } from "../src/release/file.ts";
import { addressOf } from "../src/release/address.ts";
import { mediaTypeOf } from "../src/release/media_type.ts";

const checkRange = (header: string | null, size: number, range: readonly [number, number] | undefined) => {
  const expected = range && { start: range[0], end: range[1] };
  expect([header, size, rangeOf(header, size)]).toEqual([header, size, expected]);
};

test("what a Range header asks for", () => {
  checkRange(null, 100, undefined);
  checkRange("bytes=0-9", 100, [0, 10]);
  checkRange("bytes=90-", 100, [90, 100]);
  checkRange("bytes=90-1000", 100, [90, 100]);
  checkRange("bytes=-10", 100, [90, 100]);
  checkRange("bytes=-1000", 100, [0, 100]);
  // Nothing of it is there: 416.
  checkRange("bytes=100-", 100, [100, 100]);
  checkRange("bytes=-0", 100, [100, 100]);
  checkRange("bytes=0-", 0, [0, 0]);
  // Not a range, or several: the whole.
  checkRange("bytes=9-0", 100, undefined);
  checkRange("bytes=-", 100, undefined);
  checkRange("bytes=0-1,5-6", 100, undefined);
  checkRange("lines=0-1", 100, undefined);
});

const KIB = 1024;

/** A part of a file whose first chunk has position 7, with chunks of these sizes. */
function part(offset: number, sizes: readonly number[]): PlacedPart {
  const chunks = sizes.map((bytes, at) => ({ id: `${at}` as ChunkId, bytes }));
  const file = { type: "file", path: "a" as RelPath, executable: false, size: 1e9 } as const;
  return { ...file, offset, chunks, position: 7 };
}

test("runs are the same whichever byte is asked for", () => {
  const check = (sizes: readonly number[], byte: number, run: readonly [number, number, number, number] | undefined) => {
    const found = runAt(part(1000, sizes), byte);
    const fields = found && [found.position, found.chunks.length, found.start, found.end];
    expect([sizes.length, byte, fields]).toEqual([sizes.length, byte, run]);
  };
  const many = Array.from({ length: 100 }, () => 10);
  check(many, 1000, [7, 32, 1000, 1320]);
  check(many, 1319, [7, 32, 1000, 1320]);
  check(many, 1320, [39, 32, 1320, 1640]);
  check(many, 1999, [103, 4, 1960, 2000]);
  check(many, 999, undefined);
  check(many, 2000, undefined);
  const large = [600 * KIB, 600 * KIB, 2048 * KIB, 1];
  check(large, 1000, [7, 1, 1000, 1000 + 600 * KIB]);
  check(large, 1000 + 1200 * KIB, [9, 1, 1000 + 1200 * KIB, 1000 + 3248 * KIB]);
  check(large, 1000 + 3248 * KIB, [10, 1, 1000 + 3248 * KIB, 1001 + 3248 * KIB]);
  check([], 1000, undefined);
});

const checkAddress = (url: string, expected: string | undefined) => {
  const found = addressOf("https://cdn.example/base/", new URL(url));
  const text = found && `${found.content} ${found.version} ${found.path}${found.query}`;
  expect([url, text]).toEqual([url, expected]);
};

test("URLs of published files", () => {
  const base = "https://cdn.example/base/";
  checkAddress(`${base}game/demo/files/1.2/data/a%20b.bin`, "game/demo 1.2 data/a b.bin");
  checkAddress(`${base}game/demo/files/@live/a.bin?token=1#part`, "game/demo @live a.bin?token=1");
  checkAddress(`${base}a/b/c/d/files/1/files/2/x`, "a/b/c/d 1 files/2/x");
  checkAddress(`${base}game/demo/files/1.2/`, undefined);
  checkAddress(`${base}game/demo/files/1.2`, undefined);
  checkAddress(`${base}game/files/1.2/a`, undefined);
  checkAddress(`${base}game/demo/media/1.2/a`, undefined);
  checkAddress(`${base}game/demo/files/1.2/%ff`, undefined);
  checkAddress("https://other.example/base/game/demo/files/1.2/a", undefined);
  checkAddress(`${base}x?u=/game/demo/files/1.2/a`, undefined);
});

const checkType = (path: string, type: string) => expect([path, mediaTypeOf(path)]).toEqual([path, type]);

test("media types", () => {
  checkType("build/game.wasm", "application/wasm");
  checkType("video/seg_1.M4S", "video/iso.segment");
  checkType("a.mp4", "video/mp4");
  checkType("a.m4a", "audio/mp4");
  checkType("a.css", "text/css; charset=utf-8");
  checkType("a.jpg", "image/jpeg");
  checkType("a.mpeg", "application/octet-stream");
  checkType("a/index.html", "text/html; charset=utf-8");
  checkType("a.b/c", "application/octet-stream");
  checkType("game.pak", "application/octet-stream");
  checkType("text/css", "application/octet-stream");
  checkType("a.text/css", "application/octet-stream");
});
