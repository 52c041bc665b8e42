/** Test media: VOD in HLS, made once by ffmpeg for each set of parameters and kept under the system's temporary folder. */
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encode, SEGMENT_S } from "./encode.ts";
import { concatenated } from "./playlist.ts";

export interface MediaSpec {
  /** Length; whole segments of 2 s only. */
  readonly seconds: number;
  readonly container: "ts" | "fmp4";
  /** From the best one down: 360p at 1.5 Mbit/s, 240p at 0.7, 180p at 0.4, sound included. */
  readonly renditions: 1 | 2 | 3;
  /** A rendition of its own for the sound, instead of sound in each rendition. */
  readonly separate_audio?: boolean;
  /** One file a rendition, whose segments are ranges of it. */
  readonly byte_ranges?: boolean;
  /** AES-128 with one key for all. */
  readonly encrypted?: boolean;
  /** Another picture from the middle on, with a discontinuity before it. */
  readonly discontinuity?: boolean;
}

export interface Media {
  readonly folder: string;
  /** The name of the playlist to give to a player. */
  readonly master: string;
}

/** Raised when what is made from the same parameters is made differently. */
const VERSION = 1;

/** The folder with this media, made now if it is not there yet. */
export async function media(spec: MediaSpec): Promise<Media> {
  refuse(spec);
  const name = createHash("sha256").update(JSON.stringify([VERSION, canonical(spec)])).digest("hex").slice(0, 16);
  const all = join(tmpdir(), "freshet-lab-media");
  const folder = join(all, name);
  if (!(await exists(folder))) {
    await mkdir(all, { recursive: true });
    const made = await mkdtemp(join(all, "making-"));
    try {
      await make(made, spec);
      await rename(made, folder).catch(async (error: unknown) => {
        // Somebody else was faster with the same parameters.
        if (!(await exists(folder))) throw error;
      });
    } finally {
      await rm(made, { recursive: true, force: true });
    }
  }
  return { folder, master: "master.m3u8" };
}

function refuse({ seconds, container, byte_ranges, encrypted, discontinuity }: MediaSpec): void {
  const parts = discontinuity ? 2 : 1;
  if (!Number.isInteger(seconds) || seconds <= 0 || seconds % (SEGMENT_S * parts) !== 0) {
    throw new RangeError(`media of ${seconds} s is not made of whole segments of ${SEGMENT_S} s`);
  }
  if (encrypted && (byte_ranges || container === "fmp4")) {
    throw new RangeError("ffmpeg encrypts segments of MPEG-TS in files of their own, and nothing else");
  }
}

function canonical(spec: MediaSpec): readonly unknown[] {
  const { seconds, container, renditions, separate_audio, byte_ranges, encrypted, discontinuity } = spec;
  return [seconds, container, renditions, ...[separate_audio, byte_ranges, encrypted, discontinuity].map(Boolean)];
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function make(folder: string, spec: MediaSpec): Promise<void> {
  if (!spec.discontinuity) {
    await encode(folder, spec, "testsrc2");
    return;
  }
  const half = { ...spec, seconds: spec.seconds / 2 };
  const parts = [
    { name: "first", source: "testsrc2" },
    { name: "second", source: "smptebars" },
  ] as const;
  for (const { name, source } of parts) {
    await mkdir(join(folder, name));
    await encode(join(folder, name), half, source);
  }
  const master = await readFile(join(folder, "first", "master.m3u8"), "utf8");
  await writeFile(join(folder, "master.m3u8"), master);
  for (const playlist of master.matchAll(/[^\s"]+(?<!master)\.m3u8/g)) {
    const texts = await Promise.all(parts.map(({ name }) => readFile(join(folder, name, playlist[0]), "utf8")));
    await writeFile(join(folder, playlist[0]), concatenated(texts, parts.map(({ name }) => name)));
  }
}
