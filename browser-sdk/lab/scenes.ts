/** The crowds that are measured, by name. */
import { type LiveOptions } from "./live.ts";
import { type MediaSpec } from "./media.ts";
import { type Plan } from "./crowd.ts";
import { type Line } from "./static_site.ts";

export interface Scene {
  readonly name: string;
  readonly about: string;
  /** What is played: a recording, or a live stream that begins with the scene. */
  readonly media: MediaSpec | Omit<LiveOptions, "to">;
  readonly plan: Omit<Plan, "media_url">;
  /** The origin's line, where none is given. */
  readonly line?: Line;
  /** How often it is measured for a verdict, by default once. */
  readonly runs?: number;
}

/** An origin that has enough for two viewers. */
export const POOR_LINE: Line = { rate_bytes_per_s: 375_000, latency_ms: 80 };

/**
 * A viewer's line for media at 1.5, 0.7 and 0.4 Mbit/s. At 1 Mbit/s it would be chance where hls.js stays: it goes up
 * to 0.7 only with more, and down from it only with less.
 */
export const NARROW_LINE: Line = { rate_bytes_per_s: 150_000, latency_ms: 20 };

const RECORDING: MediaSpec = { seconds: 60, container: "ts", renditions: 1 };

export const SCENES: readonly Scene[] = [
  {
    name: "vod5",
    about: "five viewers of a recording of 60 s at 1.5 Mbit/s, 4 s apart",
    media: RECORDING,
    plan: { players: 5, join_interval_s: 4, limit_s: 150 },
  },
  {
    name: "live5",
    about: "five viewers of a live stream at 1.5 Mbit/s, three segments of 2 s behind its edge, 2 s apart",
    media: { layout: { container: "ts", renditions: 1 }, window_segments: 6 },
    plan: { players: 5, join_interval_s: 2, limit_s: 120, watch_s: 60, hls: { liveSyncDurationCount: 3 } },
  },
  {
    name: "flash5",
    about: "five viewers of a recording of 60 s at 1.5 Mbit/s, all at once",
    media: RECORDING,
    plan: { players: 5, join_interval_s: 0, limit_s: 150 },
    // Five players that begin at once are as fast as the machine, which differs by a second from run to run.
    runs: 3,
  },
  {
    name: "poor5",
    about: "five viewers of a recording of 60 s at 1.5 Mbit/s, 4 s apart, from an origin at 3 Mbit/s and 80 ms",
    media: RECORDING,
    plan: { players: 5, join_interval_s: 4, limit_s: 240 },
    line: POOR_LINE,
  },
  {
    name: "narrow4",
    about: "four viewers of a recording of 40 s at 1.5, 0.7 and 0.4 Mbit/s, 3 s apart; two have lines of 1.2 Mbit/s",
    media: { ...RECORDING, seconds: 40, renditions: 3 },
    plan: {
      players: 4,
      join_interval_s: 3,
      limit_s: 90,
      overrides: { 1: { line: NARROW_LINE }, 3: { line: NARROW_LINE } },
    },
  },
];
