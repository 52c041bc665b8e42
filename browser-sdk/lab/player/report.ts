/** What goes between the lab and a player's page, as JSON, and what a script can plug into the player. */
import type Hls from "hls.js";
import { type HlsConfig } from "hls.js";

/** What a page is told to play. */
export interface PlayerConfig {
  readonly media_url: string;
  readonly viewer: string;
  /** What can be said of hls.js's configuration in JSON. */
  readonly hls?: Readonly<Record<string, unknown>>;
  /** Live streams have no end of their own: the player is done when it has played this much. */
  readonly watch_s?: number;
  /** What the page's script is told. */
  readonly script?: Readonly<Record<string, unknown>>;
}

/** Something that a loader handed to hls.js. */
export interface Load {
  /** `media-fragment` (segments and what initialises them), `level`, `manifest`, `key`, ... */
  readonly type: string;
  readonly url: string;
  /** First byte and end, where only a range was asked for. */
  readonly range?: readonly [number, number];
  readonly bytes: number;
  readonly sha256: string;
  readonly took_ms: number;
}

export interface PlayerError {
  readonly type: string;
  readonly details: string;
  readonly fatal: boolean;
  readonly reason: string;
}

/** Middle and worst of the samples that were taken each second of play. */
export interface Latency {
  readonly samples: number;
  readonly median_s: number;
  readonly max_s: number;
}

export interface PlayerReport {
  readonly viewer: string;
  /** `open`: it still plays. */
  readonly end: "ended" | "watched" | "fatal" | "open";
  /** From `loadSource` to the first frame. */
  readonly startup_ms: number | null;
  /** From the navigation to the page until its first frame. */
  readonly since_navigation_ms: number | null;
  readonly played_s: number;
  readonly rebuffers: number;
  readonly rebuffer_ms: number;
  /** From each jump of the viewer until play went on. */
  readonly seeks_ms: readonly number[];
  readonly frames: number;
  readonly frames_dropped: number;
  readonly level_switches: number;
  /** What was played last, counted from the least rate up. */
  readonly level: number | null;
  /** The first errors; `errors_total` counts on. */
  readonly errors: readonly PlayerError[];
  readonly errors_total: number;
  /** Behind the end of the live playlist, as hls.js reckons. */
  readonly latency: Latency | null;
  /** Behind the clock of the machine that encoded, where the playlist tells dates. */
  readonly behind_clock: Latency | null;
  /** How far from the live edge hls.js wants to be. */
  readonly target_latency_s: number | null;
  readonly live_sync: Readonly<Record<string, number | null>>;
  /** Given to the browser's buffers, after transmuxing. */
  readonly appended_bytes: number;
  /** Fragments as the loader handed them to hls.js. */
  readonly delivered_bytes: number;
  readonly loads: readonly Load[];
  readonly loads_total: number;
  /** Whatever the plugged-in script says of itself. */
  readonly plug: unknown;
}

/** Loader classes for hls.js's configuration. */
export type Loaders = Partial<Pick<HlsConfig, "loader" | "fLoader" | "pLoader">>;

/** What a script may put at `window.freshetLab` before the player starts. */
export interface Plug {
  makeLoader?(player: PlayerConfig & { readonly Hls: typeof Hls }): Loaders | Promise<Loaders>;
  /** hls.js is made and has not loaded anything yet. */
  attached?(hls: Hls, video: HTMLVideoElement): void;
  report?(): unknown;
}

/** What the page shows at `window.lab`. */
export interface Lab {
  /** Wakes the browser's decoders with a clip. */
  warm(url: string): Promise<void>;
  start(config: PlayerConfig): Promise<void>;
  /** Jumps there; fulfilled when it plays on. */
  seek(to_s: number): Promise<void>;
  /** Fulfilled when play has come so far. */
  at(position_s: number): Promise<void>;
  /** Fulfilled at the end of the media, after `watch_s`, or at a fatal error. */
  readonly done: Promise<void>;
  result(): Promise<PlayerReport>;
}

declare global {
  interface Window {
    Hls: typeof Hls;
    lab: Lab;
    freshetLab?: Plug;
  }
}
