/** A stream as sites publish it: the real origin and the real tracker, and in front of the origin a server that counts. */
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./process.ts";
import { programs, Servers } from "./servers.ts";
import { StaticSite, type Line } from "./static_site.ts";
import { CONFIG_PATH, type SwarmConfig } from "./swarm_config.ts";

export const STREAM = "lab/show";
export interface SwarmOptions {
  /** HLS whose first playlist is `master.m3u8`. */
  readonly folder: string;
  readonly line?: Line;
}

export class Swarm {
  /** The origin as players see it. */
  readonly site: StaticSite;
  readonly #servers: Servers;
  readonly #tracker: string;

  private constructor(site: StaticSite, servers: Servers, tracker: string) {
    this.site = site;
    this.#servers = servers;
    this.#tracker = tracker;
  }

  /** Prefix of the media's paths. */
  static readonly prefix = `/${STREAM}/media/`;

  get mediaUrl(): string {
    return `${this.site.url}${Swarm.prefix}master.m3u8`;
  }

  static async start({ folder, line = {} }: SwarmOptions): Promise<Swarm> {
    const known = programs();
    if (known === undefined) throw new Error("there is no freshet-origin and freshet-tracker to run: cargo build");
    const { origin, tracker } = known;
    const servers = new Servers(await mkdtemp(join(tmpdir(), "freshet-lab-swarm-")));
    try {
      const trackerArgs = ["--listen", "127.0.0.1:0", "--state-dir", servers.at("state"), "--drain-ms", "0"];
      const { key, url } = await servers.start(tracker, trackerArgs, "tracker");
      const keys = ["--tenant", "lab", "--keys-dir", servers.at("keys"), "--add-tracker", key as string];
      await run(origin, ["keys", ...keys, "--add-stream"]);
      const store = ["--store", servers.at("store")];
      const stream = ["--keys-dir", servers.at("keys"), "--content", STREAM, "--master", "master.m3u8"];
      await run(origin, ["publish-hls", folder, ...stream, ...store]);
      const { address } = await servers.start(origin, ["serve", "--listen", "127.0.0.1:0", ...store], "origin");
      const tenantKey = (await readFile(servers.at("keys/tenant.pub"), "utf8")).trim();
      const config: SwarmConfig = { tracker: url as string, tenantKey, stream: STREAM };
      const documents = { [CONFIG_PATH]: JSON.stringify(config) };
      const site = await StaticSite.start({ documents, upstream: `http://${address as string}`, line });
      return new Swarm(site, servers, tracker);
    } catch (error) {
      await servers.close();
      throw error;
    }
  }

  /** Kills the tracker. */
  killTracker(): Promise<void> {
    return this.#servers.kill(this.#tracker);
  }

  async close(): Promise<void> {
    await this.site.close();
    await this.#servers.close();
  }
}
