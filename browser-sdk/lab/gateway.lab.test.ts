/** Pages, and players that know nothing of Freshet behind a node's local gateway. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { media, type MediaSpec } from "./media.ts";
import { swarmTest } from "./needs.ts";
import { play, toldBy } from "./played.ts";
import { Swarm } from "./swarm.ts";

const RECORDING: MediaSpec = { seconds: 20, container: "ts", renditions: 1 };

interface Status {
  readonly streams: readonly { readonly bytes: { readonly peer: number }; readonly sent_bytes: number }[];
}

const statusOf = async (gateway: string): Promise<Status> => {
  return (await (await fetch(`${gateway}/.freshet/status`)).json()) as Status;
};

/** Addresses that a playlist lists. */
const listed = async (url: string): Promise<readonly string[]> => {
  const lines = (await (await fetch(url)).text()).split("\n");
  return lines.filter((line) => line !== "" && !line.startsWith("#")).map((line) => new URL(line, url).href);
};

swarmTest("viewers of pages and of a gateway take from each other", async () => {
  const { folder } = await media(RECORDING);
  let gateway = "";
  let first: Status | undefined;
  const watchThroughGateway = async (swarm: Swarm): Promise<void> => {
    const { counts } = swarm.site;
    await counts.until(() => counts.ofViewer("1").segment.requests >= 10);
    gateway = await swarm.gateway();
    const [rendition] = await listed(`${gateway}${Swarm.prefix}master.m3u8`);
    for (const url of await listed(rendition as string)) {
      const bytes = Buffer.from(await (await fetch(url)).arrayBuffer());
      const path = new URL(url).pathname.slice(Swarm.prefix.length);
      expect(bytes.equals(await readFile(join(folder, path)))).toBe(true);
    }
    first = await statusOf(gateway);
  };
  const report = await play(RECORDING, { players: 2, join_interval_s: 10 }, { during: watchThroughGateway });
  expect(first?.streams[0]?.bytes.peer).toBeGreaterThan(2_000_000);
  const later = report.players[1];
  expect(later === undefined ? 0 : toldBy(later).stats.peer_bytes).toBeGreaterThan(2_000_000);
  expect((await statusOf(gateway)).streams[0]?.sent_bytes).toBeGreaterThan(500_000);
});
