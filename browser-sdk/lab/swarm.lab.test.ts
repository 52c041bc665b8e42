/** The SDK in real players: a real origin, a real tracker, peers over WebRTC. */
import { setTimeout as wait } from "node:timers/promises";
import { expect } from "vitest";
import { type MediaSpec } from "./media.ts";
import { swarmTest } from "./needs.ts";
import { play, toldBy } from "./played.ts";

const RECORDING: MediaSpec = { seconds: 20, container: "ts", renditions: 1 };

swarmTest("three viewers of a recording take most of it from each other", async () => {
  const report = await play(RECORDING, {});
  expect(report.offload).toBeGreaterThan(0.3);
  for (const player of report.players) expect(toldBy(player).stats.links).toBe(2);
  const later = report.players.slice(1).map((player) => toldBy(player).stats.peer_bytes);
  for (const bytes of later) expect(bytes).toBeGreaterThan(2_000_000);
  // Fewer requests than a player makes without peers: 10 segments, 2 playlists.
  for (const { origin } of report.players.slice(1)) {
    expect(origin.segment.requests + origin.playlist.requests + origin.entry.requests).toBeLessThan(12);
  }
});

swarmTest("nobody notices that the tracker is gone", async () => {
  const report = await play(RECORDING, {}, {
    during: (swarm) => {
      // The first two have met by then, and the last one has just begun.
      const { counts } = swarm.site;
      return counts.until(() => counts.ofViewer("3").playlist.requests >= 2).then(() => swarm.killTracker());
    },
  });
  expect(report.offload).toBeGreaterThan(0.1);
});

swarmTest("nobody notices that trackers die one after the other, and the broker between them", async () => {
  const report = await play(RECORDING, {}, {
    trackers: 3,
    during: async (swarm) => {
      const { counts } = swarm.site;
      for (const viewer of ["2", "3"]) {
        await counts.until(() => counts.ofViewer(viewer).playlist.requests >= 2);
        await swarm.killTracker(Number(viewer) - 2);
      }
      await swarm.killBroker();
      await wait(3000);
      await swarm.killTracker(2);
    },
  });
  expect(report.offload).toBeGreaterThan(0.1);
});

swarmTest("without a tracker it is plain HTTP", async () => {
  const report = await play({ ...RECORDING, seconds: 8 }, { players: 2 }, { during: (swarm) => swarm.killTracker() });
  expect(report.offload).toBeLessThan(0.01);
});
