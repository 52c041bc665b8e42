/** A live stream: ffmpeg encodes in real time and writes HLS to a folder, or pushes it to a server with HTTP PUT. */
import { watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { liveArguments, type Layout } from "./encode.ts";
import { Running } from "./process.ts";

export interface LiveOptions {
  readonly layout: Layout;
  /** An existing folder, or an `http:` URL without a slash at its end. */
  readonly to: string;
  /** Segments that a playlist shows. Older ones stay where they are, so that what players got can be compared. */
  readonly window_segments: number;
}

/** Playlists are named `master.m3u8` and `360p.m3u8`. */
export class Live {
  readonly #ffmpeg: Running;

  constructor({ layout, to, window_segments }: LiveOptions) {
    this.#ffmpeg = new Running("ffmpeg", liveArguments(layout, to, window_segments));
  }

  /** Resolves when the folder's playlists show this many segments. */
  async ready(folder: string, segments: number): Promise<void> {
    const shown = new AbortController();
    const ended = this.#ffmpeg.ended.then((end) => {
      if (!shown.signal.aborted) throw new Error(`ffmpeg ended with ${end}: ${this.#ffmpeg.stderr}`);
    });
    try {
      await Promise.race([ended, shows(folder, segments, shown.signal)]);
    } finally {
      shown.abort();
    }
  }

  async close(): Promise<void> {
    await this.#ffmpeg.close();
  }
}

function shows(folder: string, segments: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => {
      Promise.all(["master.m3u8", "360p.m3u8"].map((name) => readFile(join(folder, name), "utf8").catch(() => ""))).then(
        ([master, media]) => {
          if (master && (media?.match(/#EXTINF/g) ?? []).length >= segments) resolve();
        },
        reject,
      );
    };
    const watcher = watch(folder, { signal }, look);
    watcher.on("error", reject);
    look();
  });
}
