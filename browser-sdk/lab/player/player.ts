/** The page's player: hls.js, with everything measured that the lab wants to know. */
import type Hls from "hls.js";
import { Loads } from "./loads.ts";
import { Playback } from "./playback.ts";
import { type Latency, type PlayerConfig, type PlayerError, type PlayerReport } from "./report.ts";

const ERRORS_MAX = 100;
const SAMPLE_EVERY_S = 1;

const video = document.querySelector("video") as HTMLVideoElement;
const line = document.querySelector("output") as HTMLOutputElement;
let resolveDone: () => void;
const done = new Promise<void>((resolve) => {
  resolveDone = resolve;
});
let player: Player | undefined;

window.lab = {
  warm,
  async start(config) {
    if (player) throw new Error("this page plays already");
    const loads = new Loads();
    const parts = (await window.freshetLab?.makeLoader?.({ ...config, Hls: window.Hls })) ?? {};
    const hls = new window.Hls({
      ...config.hls,
      ...loads.watch(parts, window.Hls.DefaultConfig.loader),
    });
    player = new Player(config, hls, loads);
  },
  async seek(to_s) {
    const playing = new Promise((resolve) => video.addEventListener("playing", resolve, { once: true }));
    video.currentTime = to_s;
    await playing;
  },
  at(position_s) {
    return new Promise((resolve) => {
      video.addEventListener("timeupdate", () => video.currentTime >= position_s && resolve());
    });
  },
  done,
  async result() {
    if (!player) throw new Error("this page was not started");
    return player.report();
  },
};

/** Plays a clip to its first frame: the first decoder of a browser takes up to a second to start. */
async function warm(url: string): Promise<void> {
  const clip = document.createElement("video");
  clip.muted = true;
  clip.src = url;
  const shown = new Promise((resolve, reject) => {
    clip.requestVideoFrameCallback(resolve);
    clip.addEventListener("error", () => reject(new Error(`the browser cannot play ${url}: ${clip.error?.message}`)));
  });
  await clip.play();
  await shown;
  clip.removeAttribute("src");
  clip.load();
}

class Player {
  readonly #config: PlayerConfig;
  readonly #hls: Hls;
  readonly #loads: Loads;
  readonly #playback: Playback;
  readonly #errors: PlayerError[] = [];
  readonly #latencies_s: number[] = [];
  readonly #behindClock_s: number[] = [];
  #errors_total = 0;
  #switches = 0;
  #level: number | undefined;
  #appended_bytes = 0;
  #end: PlayerReport["end"] = "open";

  constructor(config: PlayerConfig, hls: Hls, loads: Loads) {
    this.#config = config;
    this.#hls = hls;
    this.#loads = loads;
    this.#listen();
    window.freshetLab?.attached?.(hls, video);
    this.#playback = new Playback(video, (played_s) => this.#progress(played_s));
    hls.attachMedia(video);
    hls.loadSource(config.media_url);
    // Refused where the browser wants a click first; the missing first frame then tells it.
    video.play().catch(() => undefined);
  }

  async report(): Promise<PlayerReport> {
    const { frames, frames_dropped } = frameCounts();
    const { liveSyncDurationCount, liveSyncDuration, liveMaxLatencyDurationCount } = this.#hls.config;
    return {
      viewer: this.#config.viewer,
      end: this.#end,
      startup_ms: this.#playback.startup_ms,
      since_navigation_ms: this.#playback.since_navigation_ms,
      played_s: this.#playback.played_s,
      rebuffers: this.#playback.rebuffers,
      rebuffer_ms: this.#playback.rebuffer_ms,
      seeks_ms: this.#playback.seeks_ms,
      frames,
      frames_dropped,
      level_switches: this.#switches,
      level: this.#level ?? null,
      errors: this.#errors,
      errors_total: this.#errors_total,
      latency: latencyOf(this.#latencies_s),
      behind_clock: latencyOf(this.#behindClock_s),
      target_latency_s: this.#hls.targetLatency,
      live_sync: {
        duration_count: liveSyncDurationCount,
        duration_s: liveSyncDuration ?? null,
        max_latency_duration_count: Number.isFinite(liveMaxLatencyDurationCount) ? liveMaxLatencyDurationCount : null,
      },
      appended_bytes: this.#appended_bytes,
      delivered_bytes: this.#loads.delivered_bytes,
      loads: await this.#loads.all(),
      loads_total: this.#loads.total,
      plug: window.freshetLab?.report?.() ?? null,
    };
  }

  #listen(): void {
    const { Events } = window.Hls;
    this.#hls.on(Events.ERROR, (_, { type, details, fatal, error }) => {
      this.#errors_total += 1;
      if (this.#errors.length < ERRORS_MAX) this.#errors.push({ type, details, fatal, reason: error.message });
      if (fatal) this.#finish("fatal");
    });
    this.#hls.on(Events.LEVEL_SWITCHED, (_, { level }) => {
      if (this.#level !== undefined && this.#level !== level) this.#switches += 1;
      this.#level = level;
    });
    this.#hls.on(Events.BUFFER_APPENDING, (_, { data }) => {
      this.#appended_bytes += data.byteLength;
    });
    video.addEventListener("ended", () => this.#finish("ended"));
  }

  #progress(played_s: number): void {
    line.textContent = `viewer ${this.#config.viewer}: ${played_s.toFixed(1)} s played`;
    // Not at the first frame: hls.js reckons its latency at the same event, after this.
    const due_s = (this.#latencies_s.length + 1) * SAMPLE_EVERY_S;
    if (played_s >= due_s && this.#hls.latestLevelDetails?.live) {
      this.#latencies_s.push(this.#hls.latency);
      const date = this.#hls.playingDate;
      if (date) this.#behindClock_s.push((Date.now() - date.getTime()) / 1_000);
    }
    if (this.#config.watch_s !== undefined && played_s >= this.#config.watch_s) this.#finish("watched");
  }

  #finish(end: PlayerReport["end"]): void {
    if (this.#end !== "open") return;
    this.#end = end;
    line.textContent += `, ${end}`;
    resolveDone();
  }
}

function frameCounts(): { readonly frames: number; readonly frames_dropped: number } {
  const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
  return { frames: totalVideoFrames, frames_dropped: droppedVideoFrames };
}

function latencyOf(samples_s: readonly number[]): Latency | null {
  const sorted = [...samples_s].sort((a, b) => a - b);
  const [median_s, max_s] = [sorted[sorted.length >> 1], sorted.at(-1)];
  return median_s === undefined || max_s === undefined ? null : { samples: sorted.length, median_s, max_s };
}
