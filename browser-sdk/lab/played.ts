/** What must hold of each player with the SDK, and what the SDK says of itself. */
import { expect } from "vitest";
import { type CrowdReport, type PlayerOutcome } from "./crowd.ts";
import { type Truth } from "./truth.ts";

/** What the SDK says of itself at the end (`fixtures/freshet.ts`). */
export interface Told {
  readonly stats: { readonly peer_bytes: number; readonly links: number; readonly origin_bytes: Readonly<Record<string, number>> };
  readonly told: Readonly<Record<string, readonly unknown[]>>;
}

export const toldBy = ({ plug }: PlayerOutcome): Told => plug as Told;

/** All that the SDKs of a crowd say, for messages about failures. */
export const allTold = ({ players }: CrowdReport): string => JSON.stringify(players.map(({ plug }) => plug));

/** Everybody saw all of it, as it was published, without a hitch. */
export async function expectPlayed({ players }: CrowdReport, truth: Truth, seconds: number): Promise<void> {
  for (const player of players) {
    expect(player).toMatchObject({ errors: [], rebuffers: 0, end: "ended" });
    // A browser logs each WebSocket that does not come about; nobody but a developer sees that.
    expect(player.problems.filter((problem) => !problem.includes("WebSocket connection to"))).toEqual([]);
    expect(player.played_s).toBeGreaterThan(seconds - 0.5);
    expect(await truth.wrong(player.loads)).toEqual([]);
  }
}
