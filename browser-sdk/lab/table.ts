/** Figures as a table, one row a scene. */
import { type Measured, type Spread } from "./measure.ts";
import { type WireRates } from "./wires.ts";

interface Column {
  readonly name: string;
  readonly cell: (one: Measured) => string;
}

const COLUMNS: readonly Column[] = [
  { name: "scene", cell: ({ scene }) => scene },
  { name: "startup ms", cell: ({ startup_ms }) => both(startup_ms, 0) },
  { name: "rebuffers", cell: ({ rebuffers, rebuffer_ms }) => `${rebuffers} (${Math.round(rebuffer_ms)} ms)` },
  { name: "behind edge s", cell: ({ latency_s }) => (latency_s === undefined ? "-" : both(latency_s, 1)) },
  { name: "requests each", cell: ({ requests_per_viewer }) => both(requests_per_viewer, 0) },
  { name: "origin MB", cell: ({ origin_bytes }) => (origin_bytes / 1e6).toFixed(2) },
  { name: "players MB", cell: ({ delivered_bytes }) => (delivered_bytes / 1e6).toFixed(2) },
  { name: "offload", cell: ({ offload }) => `${(offload * 100).toFixed(1)} %` },
  { name: "done", cell: ({ done, players }) => `${done} of ${players}` },
  { name: "wrong", cell: ({ wrong }) => String(wrong) },
  { name: "errors", cell: ({ errors }) => String(errors) },
  { name: "frames lost", cell: ({ frames_dropped }) => String(frames_dropped) },
  { name: "idle", cell: ({ idle }) => `${Math.round(idle * 100)} %` },
];

const WIDTH = 14;

export function head(): string {
  return line(COLUMNS.map(({ name }) => name));
}

export function row(measured: Measured): string {
  return line(COLUMNS.map(({ cell }) => cell(measured)));
}

const WIRE_COLUMNS: readonly { readonly name: string; readonly runs: (rates: WireRates) => readonly number[] }[] = [
  { name: "down MB/s", runs: ({ down }) => down },
  { name: "up MB/s", runs: ({ up }) => up },
  { name: "HTTP down", runs: ({ plain_down }) => plain_down },
  { name: "HTTP up", runs: ({ plain_up }) => plain_up },
];
const WIRE_WIDTH = 22;

export function wireHead(): string {
  return wireLine("wire", WIRE_COLUMNS.map(({ name }) => name));
}

/** Each run's rate. */
export function wireRow(wire: string, rates: WireRates): string {
  return wireLine(wire, WIRE_COLUMNS.map(({ runs }) => runs(rates).map((rate) => rate.toFixed(1)).join(" ")));
}

function wireLine(wire: string, cells: readonly string[]): string {
  return `${[wire, ...cells].map((cell) => cell.padEnd(WIRE_WIDTH)).join("").trimEnd()}\n`;
}

/** Median and worst. */
function both({ median, max }: Spread, digits: number): string {
  return `${median.toFixed(digits)} / ${max.toFixed(digits)}`;
}

function line(cells: readonly string[]): string {
  return `${cells.map((cell) => cell.padEnd(WIDTH)).join("").trimEnd()}\n`;
}
