/** What must hold of each player with the SDK, and what the SDK says of itself. */
import { expect, onTestFinished } from "vitest";
import { withBrowsers } from "./browser.ts";
import { crowd, type CrowdReport, type Plan, type PlayerOutcome } from "./crowd.ts";
import { media, type MediaSpec } from "./media.ts";
import { SDK } from "./sdk.ts";
import { Swarm } from "./swarm.ts";
import { Truth } from "./truth.ts";

/** What the SDK says of itself at the end (`fixtures/freshet.ts`). */
export interface Told {
  readonly stats: { readonly peer_bytes: number; readonly links: number; readonly origin_bytes: Readonly<Record<string, number>> };
  readonly told: Readonly<Record<string, readonly unknown[]>>;
}

export const toldBy = ({ plug }: PlayerOutcome): Told => plug as Told;

/** All that the SDKs of a crowd say, for messages about failures. */
export const allTold = ({ players }: CrowdReport): string => JSON.stringify(players.map(({ plug }) => plug));

/** Everybody saw all of it, as it was published, and without a hitch, unless a peer `mayStall` somebody. */
export async function expectPlayed(
  { players }: CrowdReport,
  truth: Truth,
  seconds: number,
  mayStall = false,
): Promise<void> {
  for (const player of players) {
    const errors = player.errors.filter(({ details }) => !mayStall || details !== "bufferStalledError");
    expect(errors).toEqual([]);
    expect(player).toMatchObject({ end: "ended", ...(mayStall ? {} : { rebuffers: 0 }) });
    // A browser logs each WebSocket that does not come about; nobody but a developer sees that.
    expect(player.problems.filter((problem) => !problem.includes("WebSocket connection to"))).toEqual([]);
    expect(player.played_s).toBeGreaterThan(seconds - 0.5);
    expect(await truth.wrong(player.loads)).toEqual([]);
  }
}

/** Plays a recording with the SDK, by default in three viewers, and checks what holds always. */
export async function play(
  spec: MediaSpec,
  plan: Partial<Plan>,
  { during, mayStall, trackers }: { during?: (swarm: Swarm) => Promise<void>; mayStall?: boolean; trackers?: number } = {},
): Promise<CrowdReport> {
  const { folder } = await media(spec);
  // A line that is no faster than a viewer's: peers are then there before everything has come over HTTP.
  const swarm = await Swarm.start({ folder, trackers: trackers ?? 1, line: { rate_bytes_per_s: 1_000_000 } });
  onTestFinished(() => swarm.close());
  const whole = { players: 3, join_interval_s: 2, limit_s: 50, page_script: SDK, media_url: swarm.mediaUrl, ...plan };
  const meanwhile = during?.(swarm);
  const report = await withBrowsers({}, (browsers) => crowd(whole, swarm.site, browsers));
  await expectPlayed(report, new Truth(folder, Swarm.prefix), spec.seconds, mayStall);
  await meanwhile;
  return report;
}
