/** Which rendition an adaptive player settles on: the one that its line carries, whoever brings the bytes. */
import { expect, onTestFinished } from "vitest";
import { withBrowsers } from "./browser.ts";
import { crowd, type PlayerOutcome } from "./crowd.ts";
import { SWITCHES_MORE_MAX } from "./lines.ts";
import { media } from "./media.ts";
import { swarmTest } from "./needs.ts";
import { toldBy } from "./played.ts";
import { NARROW_LINE } from "./scenes.ts";
import { SDK } from "./sdk.ts";
import { Swarm } from "./swarm.ts";
import { Truth } from "./truth.ts";

swarmTest("who has a narrow line settles where the plain player does, also with bytes from peers", async () => {
  const { folder } = await media({ seconds: 12, container: "ts", renditions: 3 });
  const swarm = await Swarm.start({ folder });
  onTestFinished(() => swarm.close());
  const plan = {
    players: 4,
    join_interval_s: 1,
    limit_s: 40,
    media_url: swarm.mediaUrl,
    page_script: SDK,
    // Players choose anew for each segment, so it is not loaded all at once.
    hls: { maxBufferLength: 6, maxMaxBufferLength: 6 },
    overrides: { 1: { line: NARROW_LINE }, 2: { page_script: undefined, line: NARROW_LINE }, 3: { line: NARROW_LINE } },
  };
  const { players } = await withBrowsers({}, (browsers) => crowd(plan, swarm.site, browsers));
  const [wide, first, plain, second] = players as [PlayerOutcome, PlayerOutcome, PlayerOutcome, PlayerOutcome];
  const truth = new Truth(folder, Swarm.prefix);
  const seen = JSON.stringify(
    players.map(({ level, level_switches, rebuffers, loads, plug }) => {
      return { level, level_switches, rebuffers, loads: loads.map(({ url, took_ms }) => [url.slice(-13), took_ms]), plug };
    }),
  );
  for (const player of players) {
    expect(player, seen).toMatchObject({ problems: [], end: "ended" });
    expect(await truth.wrong(player.loads)).toEqual([]);
  }
  expect(wide, seen).toMatchObject({ level: 2, level_switches: 0, rebuffers: 0 });
  for (const narrow of [first, second]) {
    expect(narrow.level, seen).toBe(plain.level);
    expect(narrow.level_switches, seen).toBeLessThanOrEqual(plain.level_switches + SWITCHES_MORE_MAX);
    expect(narrow.rebuffers, seen).toBeLessThanOrEqual(plain.rebuffers);
  }
  // What it says of its line, it says of peers too.
  expect(toldBy(second).stats.peer_bytes, seen).toBeGreaterThan(100_000);
});
