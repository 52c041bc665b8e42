/** A stream as sites publish it: the real origin and the real tracker, and in front of the origin a server that counts. */
import { copyFile, mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { run } from "./process.ts";
import { BROKER, programs, Servers, type Programs } from "./servers.ts";
import { StaticSite, type Line } from "./static_site.ts";
import { CONFIG_PATH, type SwarmConfig } from "./swarm_config.ts";

export const STREAM = "lab/show";
/** The origin's name among the servers, and what it writes about what it has sent. */
const ORIGIN = "origin";
const SENT = "sent.json";
/** What the origin needs at most to take in a live stream that is there already. */
const READY_MS = 10_000;

export interface SwarmOptions {
  /** HLS whose first playlist is `master.m3u8`. */
  readonly folder: string;
  /** A packager writes to the folder: the origin takes the stream in as it comes. */
  readonly isLive?: boolean;
  /** The media stays where it is: only its entries are signed and served. */
  readonly isElsewhere?: boolean;
  readonly line?: Line;
  /** How many trackers there are, by default one; several are a cluster over a broker. */
  readonly trackers?: number;
  /** What the origin may send at most. */
  readonly mbit_max?: number;
}

/** What the origin has counted of one kind of requests. */
export interface Counted {
  readonly requests: number;
  readonly refused: number;
}

export class Swarm {
  /** The origin as players see it. */
  readonly site: StaticSite;
  readonly config: SwarmConfig;
  readonly #origin: string;
  readonly #servers: Servers;
  readonly #programs: Programs;

  private constructor(site: StaticSite, origin: string, config: SwarmConfig, servers: Servers, known: Programs) {
    this.site = site;
    this.#origin = origin;
    this.config = config;
    this.#servers = servers;
    this.#programs = known;
  }

  /** Prefix of the media's paths. */
  static readonly prefix = `/${STREAM}/media/`;

  get mediaUrl(): string {
    return `${this.site.url}${Swarm.prefix}master.m3u8`;
  }

  static async start(options: SwarmOptions): Promise<Swarm> {
    const { folder, isLive = false, isElsewhere = false, line = {}, trackers = 1, mbit_max } = options;
    const known = programs();
    if (known === undefined) throw new Error("there is no freshet-origin, freshet-tracker and freshet-node to run: cargo build");
    const { origin } = known;
    const servers = new Servers(await mkdtemp(join(tmpdir(), "freshet-lab-swarm-")));
    try {
      const keys = ["--tenant", "lab", "--keys-dir", servers.at("keys")];
      await run(origin, ["keys", ...keys, "--add-stream"]);
      const publisher = await streamKey(servers.at("keys/keys.json"));
      const local = ["--listen", "127.0.0.1:0"];
      const { key, urls } = await startTrackers(servers, known.tracker, trackers, ["--publisher", publisher]);
      await run(origin, ["keys", ...keys, "--add-tracker", key]);
      const store = ["--store", servers.at("store")];
      const stream = ["--keys-dir", servers.at("keys"), "--content", STREAM, ...store];
      if (isLive) {
        await servers.start(origin, ["ingest", "--watch", folder, ...stream, ...urls.flatMap((url) => ["--tracker", url])], "ingest");
      } else if (isElsewhere) {
        await run(origin, ["index", "--watch", folder, "--once", ...stream]);
      } else {
        await run(origin, ["publish-hls", folder, ...stream, "--master", "master.m3u8"]);
      }
      const most = mbit_max === undefined ? [] : ["--bandwidth-mbit-max", String(mbit_max)];
      const report = ["--report-file", servers.at(SENT)];
      const { url } = await servers.start(origin, ["serve", ...local, ...store, ...most, ...report], ORIGIN);
      const tenantKey = (await readFile(servers.at("keys/tenant.pub"), "utf8")).trim();
      const config: SwarmConfig = { tracker: urls, tenantKey, stream: STREAM };
      const documents = { [CONFIG_PATH]: JSON.stringify(config) };
      const site = await StaticSite.start({ documents, upstream: (url as string).replace(/\/$/, ""), line });
      return new Swarm(site, url as string, config, servers, known);
    } catch (error) {
      await servers.close();
      throw error;
    }
  }

  /** Waits until the origin shows the first playlist: it takes a live stream in while that goes on, and tells nobody. */
  async ready(): Promise<void> {
    const begun = performance.now();
    while (!(await fetch(this.mediaUrl)).ok) {
      if (performance.now() - begun > READY_MS) throw new Error(`${this.mediaUrl} is not there after ${READY_MS} ms`);
      await wait(100);
    }
  }

  /** Kills the tracker of that number. */
  killTracker(number = 0): Promise<void> {
    return this.#servers.kill(trackerName(number));
  }

  /** Kills what several trackers find each other through. */
  killBroker(): Promise<void> {
    return this.#servers.kill(BROKER);
  }

  /** Starts a node's local gateway before the site, which shares what it gets; its base URL. */
  async gateway(): Promise<string> {
    const { tenantKey, tracker } = this.config;
    const trackers = tracker.flatMap((url) => ["--tracker", url]);
    const origin = ["--origin", `${this.site.url}/${STREAM}/channels/live`, "--key", tenantKey, ...trackers];
    const own = ["--gateway", "127.0.0.1:0", "--cache", this.#servers.at("cache"), "--share", "--goal", "offload"];
    const { gateway } = await this.#servers.start(this.#programs.node, ["run", ...own, ...origin], "gateway");
    return `http://${gateway as string}`;
  }

  /** Fetches what was published beside the stream, over HTTP alone. */
  download(name: string): Promise<void> {
    const from = [`${this.#origin}lab/build/channels/live`, "--key", this.config.tenantKey, "--no-p2p"];
    return run(this.#programs.node, ["get", ...from, "--into", this.#servers.at(name), "--log", "error"]);
  }

  /** Stops the origin; what it has counted of packs and of media. */
  async counted(): Promise<Readonly<Record<"pack" | "media", Counted>>> {
    await this.#servers.stop(ORIGIN);
    return JSON.parse(await readFile(this.#servers.at(SENT), "utf8")) as Record<"pack" | "media", Counted>;
  }

  /** Publishes a file beside the stream; its URL. */
  async publish(name: string, bytes: Uint8Array): Promise<string> {
    const at = (folder: string): string => this.#servers.at(folder);
    await mkdir(at("build"));
    await writeFile(join(at("build"), name), bytes);
    const release = ["--content", "lab/build", "--version", "1.0", "--keys-dir", at("keys"), "--store", at("store")];
    await run(this.#programs.origin, ["publish", at("build"), ...release]);
    return `${this.site.url}/lab/build/files/1.0/${name}`;
  }

  async close(): Promise<void> {
    await this.site.close();
    await this.#servers.close();
  }
}

const trackerName = (number: number): string => `tracker-${number}`;

/** Starts trackers, all with one ticket key; that key, and their addresses. */
async function startTrackers(
  servers: Servers,
  program: string,
  count: number,
  flags: readonly string[],
): Promise<{ key: string; urls: readonly string[] }> {
  const cluster = count > 1 ? ["--cluster", await servers.startBroker()] : [];
  const state = (number: number): string => servers.at(`state-${number}`);
  const urls: string[] = [];
  let last = "";
  for (let number = 0; number < count; number += 1) {
    if (number > 0) {
      await mkdir(state(number));
      await copyFile(join(state(0), "ticket.key"), join(state(number), "ticket.key"));
    }
    const own = ["--listen", "127.0.0.1:0", "--state-dir", state(number), "--drain-ms", "0"];
    const { key, url } = await servers.start(program, [...own, ...cluster, ...flags], trackerName(number));
    urls.push(url as string);
    last = key as string;
  }
  return { key: last, urls };
}

/** The key that signs entries, out of the tenant's key document. */
export async function streamKey(file: string): Promise<string> {
  const { payload } = JSON.parse(await readFile(file, "utf8")) as { payload: string };
  const { keys } = JSON.parse(Buffer.from(payload, "base64").toString()) as { keys: { key: string; roles: string[] }[] };
  const found = keys.find(({ roles }) => roles.includes("stream"));
  if (found === undefined) throw new Error(`${file} names no key for streams`);
  return found.key;
}
