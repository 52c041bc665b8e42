/** A low-latency packager (RFC 8216bis, 4.4.4.9): a recording goes out part by part, as time goes by. */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { media } from "./media.ts";
import { run } from "./process.ts";

const SEGMENT_S = 2;
/** Whole frames at 25 a second, and whole parts of a segment. */
const PART_S = 0.4;
const PARTS = Math.round(SEGMENT_S / PART_S);
/** Segments that the playlist shows, and those of them whose parts it still names. */
const WINDOW = 6;
const IN_PARTS = 2;
/** How far players stay behind: without blocking reloads they hear of a part up to two parts late. */
const HOLD_BACK_PARTS = 6;

export class LowLatency {
  readonly #folder: string;
  readonly #segments: readonly (readonly Uint8Array[])[];
  readonly #over = new AbortController();
  readonly #going: Promise<void>;

  private constructor(folder: string, segments: readonly (readonly Uint8Array[])[], begin: number) {
    this.#folder = folder;
    this.#segments = segments;
    this.#going = this.#go(begin);
  }

  /** Writes into `folder`, which then holds `master.m3u8`, as if the stream had begun some segments ago. */
  static async start(folder: string, seconds: number): Promise<LowLatency> {
    const source = await media({ seconds, container: "fmp4", renditions: 1 });
    const chunks = join(folder, "chunks");
    await mkdir(chunks);
    const cut = ["-seg_duration", String(SEGMENT_S), "-frag_type", "duration", "-frag_duration", String(PART_S)];
    const input = ["-v", "error", "-i", join(source.folder, source.master), "-map", "0:v", "-c", "copy"];
    await run("ffmpeg", [...input, "-f", "dash", ...cut, "-use_template", "1", join(chunks, "chunks.mpd")]);
    await writeFile(join(folder, "init.mp4"), await readFile(join(chunks, "init-stream0.m4s")));
    const segments = await Promise.all(
      Array.from({ length: seconds / SEGMENT_S }, async (_, at) => {
        return parts(await readFile(join(chunks, `chunk-stream0-${String(at + 1).padStart(5, "0")}.m4s`)));
      }),
    );
    if (segments.some(({ length }) => length !== PARTS)) throw new Error("ffmpeg cut the media elsewhere");
    await writeFile(join(folder, "master.m3u8"), `#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1500000\nlive.m3u8\n`);
    const began = new LowLatency(folder, segments, WINDOW);
    for (let segment = 0; segment < WINDOW; segment += 1) await began.#publish(segment, PARTS);
    return began;
  }

  async close(): Promise<void> {
    this.#over.abort();
    await this.#going;
  }

  async #go(begin: number): Promise<void> {
    const { signal } = this.#over;
    const began = performance.now();
    for (let part = 1; part <= (this.#segments.length - begin) * PARTS; part += 1) {
      await wait(Math.max(began + part * PART_S * 1_000 - performance.now(), 0), undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      await this.#publish(begin + Math.floor((part - 1) / PARTS), ((part - 1) % PARTS) + 1);
    }
  }

  /** Writes a segment's newest part, the segment once it is whole, and then the playlist. */
  async #publish(segment: number, count: number): Promise<void> {
    const made = this.#segments[segment] ?? [];
    const first = count === PARTS ? 0 : count - 1;
    for (const part of made.keys()) {
      if (part >= first && part < count) await this.#write(`${segment}.${part}.m4s`, made[part] as Uint8Array);
    }
    if (count === PARTS) await this.#write(`${segment}.m4s`, Buffer.concat(made));
    // A segment is listed together with the next one's first part: hls.js 1.7 takes two playlists that both end with a
    // whole segment for mismatched.
    if (count < PARTS || segment < WINDOW) await this.#write("live.m3u8", this.#playlist(segment, count));
  }

  #playlist(last: number, count: number): string {
    const first = Math.max(last - WINDOW + 1, 0);
    const lines = [
      "#EXTM3U",
      "#EXT-X-VERSION:9",
      `#EXT-X-TARGETDURATION:${SEGMENT_S}`,
      `#EXT-X-SERVER-CONTROL:PART-HOLD-BACK=${PART_S * HOLD_BACK_PARTS}`,
      `#EXT-X-PART-INF:PART-TARGET=${PART_S}`,
      `#EXT-X-MEDIA-SEQUENCE:${first}`,
      '#EXT-X-MAP:URI="init.mp4"',
    ];
    for (let segment = first; segment <= last; segment += 1) {
      const whole = segment < last || count === PARTS;
      const named = segment > last - IN_PARTS ? (segment === last ? count : PARTS) : 0;
      for (let part = 0; part < named; part += 1) {
        const independent = part === 0 ? ",INDEPENDENT=YES" : "";
        lines.push(`#EXT-X-PART:DURATION=${PART_S},URI="${segment}.${part}.m4s"${independent}`);
      }
      if (whole) lines.push(`#EXTINF:${SEGMENT_S},`, `${segment}.m4s`);
    }
    return `${lines.join("\n")}\n`;
  }

  async #write(name: string, bytes: string | Uint8Array): Promise<void> {
    await writeFile(join(this.#folder, `${name}.making`), bytes);
    await rename(join(this.#folder, `${name}.making`), join(this.#folder, name));
  }
}

/** A segment's fragments: each begins with a `moof`, the first with what stands before it. */
function parts(segment: Uint8Array): readonly Uint8Array[] {
  const view = new DataView(segment.buffer, segment.byteOffset, segment.length);
  const starts: number[] = [];
  for (let at = 0; at < segment.length; at += view.getUint32(at)) {
    if (Buffer.from(segment.subarray(at + 4, at + 8)).toString() === "moof") starts.push(at);
  }
  return starts.map((start, part) => segment.subarray(part === 0 ? 0 : start, starts[part + 1] ?? segment.length));
}
