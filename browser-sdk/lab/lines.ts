/** What is promised of the SDK, beside what there is without it in the same run: wires, and crowds of players. */
import { spread, type Measured } from "./measure.ts";
import { type WireRates, type WireScene } from "./wires.ts";

/** One promise: what was wanted and what was reached. */
export interface Line {
  readonly name: string;
  readonly wanted: string;
  readonly reached: string;
  readonly reference: string;
  readonly isKept: boolean;
}

/** Of the bytes that players got, the least share that must not come from the origin. */
const OFFLOAD_MIN: Readonly<Record<string, number>> = { vod5: 0.76, live5: 0.6, flash5: 0.74 };
/** What the SDK may add to the startup of the plain player. */
const STARTUP_MS = 300;
/** Latency is sampled each second, and players begin at different moments of a segment. */
const LATENCY_TOLERANCE_S = 0.5;
/** How many times more than the plain player one with the SDK may change its level. */
export const SWITCHES_MORE_MAX = 1;

/** Judges a scene with the SDK against the plain player's. */
export function lines(ours: Measured, plain: Measured): readonly Line[] {
  const least = OFFLOAD_MIN[ours.scene] ?? 0;
  const made: Line[] = [
    {
      name: "offload",
      wanted: `>= ${percent(least)}`,
      reached: percent(ours.offload),
      reference: percent(plain.offload),
      isKept: ours.offload >= least,
    },
    {
      name: "startup, median",
      wanted: `<= plain + ${STARTUP_MS} ms`,
      reached: ms(ours.startup_ms.median),
      reference: ms(plain.startup_ms.median),
      isKept: ours.startup_ms.median <= plain.startup_ms.median + STARTUP_MS,
    },
    {
      name: "rebuffers",
      wanted: "<= plain",
      reached: String(ours.rebuffers),
      reference: String(plain.rebuffers),
      isKept: ours.rebuffers <= plain.rebuffers,
    },
    {
      name: "requests a viewer, median",
      wanted: "<= plain",
      reached: String(ours.requests_per_viewer.median),
      reference: String(plain.requests_per_viewer.median),
      isKept: ours.requests_per_viewer.median <= plain.requests_per_viewer.median,
    },
    {
      name: "done, no wrong byte, no error",
      wanted: `${ours.players} of ${ours.players}, 0, 0`,
      reached: `${ours.done} of ${ours.players}, ${ours.wrong}, ${ours.errors}`,
      reference: `${plain.done} of ${plain.players}, ${plain.wrong}, ${plain.errors}`,
      isKept: ours.done === ours.players && ours.wrong === 0 && ours.errors === 0,
    },
  ];
  if (ours.latency_s !== undefined && plain.latency_s !== undefined) {
    made.push({
      name: "behind the edge, median",
      wanted: `<= plain + ${LATENCY_TOLERANCE_S} s`,
      reached: `${ours.latency_s.median.toFixed(1)} s`,
      reference: `${plain.latency_s.median.toFixed(1)} s`,
      isKept: ours.latency_s.median <= plain.latency_s.median + LATENCY_TOLERANCE_S,
    });
  }
  if (levelsOf(plain).some((level) => level !== 0)) {
    const more = ours.report.players.map(({ level_switches }, at) => {
      return level_switches - (plain.report.players[at]?.level_switches ?? 0);
    });
    made.push({
      name: "levels, switches more",
      wanted: `plain's, <= ${SWITCHES_MORE_MAX}`,
      reached: `${levelsOf(ours).join(" ")}, ${Math.max(...more)}`,
      reference: levelsOf(plain).join(" "),
      isKept: levelsOf(ours).join() === levelsOf(plain).join() && more.every((switches) => switches <= SWITCHES_MORE_MAX),
    });
  }
  return made;
}

const levelsOf = ({ report }: Measured) => report.players.map(({ level }) => level);

/** Judges a wire by the median of its runs. */
export function wireLines({ down_min, up_min }: WireScene, rates: WireRates): readonly Line[] {
  const line = (name: string, least: number, runs: readonly number[], plain: readonly number[]): Line => ({
    name: `${name}, median of ${runs.length}`,
    wanted: `>= ${least} MB/s`,
    reached: megabytesS(median(runs)),
    reference: megabytesS(median(plain)),
    isKept: median(runs) >= least,
  });
  return [line("down", down_min, rates.down, rates.plain_down), line("up", up_min, rates.up, rates.plain_up)];
}

/** The head of lines, with a name for what they are compared with. */
export function lineHead(reference: string): string {
  return `${cells("scene", "line", "wanted", "reached", reference)}\n`;
}

/** A line as text. */
export function lineText(scene: string, { name, wanted, reached, reference, isKept }: Line): string {
  return `${cells(scene, name, wanted, reached, reference)}${isKept ? "ok" : "MISSED"}\n`;
}

function cells(scene: string, ...others: readonly string[]): string {
  const widths = [30, 20, 16, 16];
  return [scene.padEnd(19), ...others.map((text, at) => text.padEnd(widths[at] ?? 0))].join("  ");
}

const median = (runs: readonly number[]): number => spread(runs).median;
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const ms = (value: number): string => `${value.toFixed(0)} ms`;
const megabytesS = (value: number): string => `${value.toFixed(1)} MB/s`;
