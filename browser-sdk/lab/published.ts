/** A release as sites publish it: the real origin and the real tracker, and in front of the origin a server that counts. */
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { filePages } from "./files/pages.ts";
import { run } from "./process.ts";
import { programs, Servers } from "./servers.ts";
import { StaticSite, type Line } from "./static_site.ts";

export const CONTENT = "lab/build";
const VERSION = "1.0";
export interface PublishedOptions {
  /** By path. */
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** Average chunk, as the origin's `--chunk-avg` takes it. */
  readonly chunk_avg?: string;
  readonly line?: Line;
}

export class Published {
  /** The counting server: the origin, and the lab's pages. */
  readonly site: StaticSite;
  /** WebSocket address of the tracker. */
  readonly tracker: string;
  readonly tenant_key: string;
  readonly #servers: Servers;

  private constructor(site: StaticSite, made: Made, servers: Servers) {
    this.site = site;
    this.tracker = made.tracker;
    this.tenant_key = made.tenant_key;
    this.#servers = servers;
  }

  static async start(options: PublishedOptions): Promise<Published> {
    const servers = new Servers(await mkdtemp(join(tmpdir(), "freshet-lab-published-")));
    await mkdir(servers.at("reports"));
    try {
      const made = await publish(servers, options);
      const site = await StaticSite.start({
        documents: await filePages(),
        folders: { "/reports/": servers.at("reports") },
        writable: true,
        upstream: `http://${made.origin}`,
        line: options.line ?? {},
      });
      return new Published(site, made, servers);
    } catch (error) {
      await servers.close();
      throw error;
    }
  }

  /** URL of a published file. */
  url(path: string, version = VERSION): string {
    return `${this.site.url}/${CONTENT}/files/${version}/${path}`;
  }

  /** The page of a viewer. */
  page(viewer: number): string {
    return `${this.site.url}/lab/files.html?v=${viewer}`;
  }

  /** Where the file lies that a page puts to `/reports/NAME`. */
  report(name: string): string {
    return join(this.#servers.at("reports"), name);
  }

  async close(): Promise<void> {
    await this.site.close();
    await this.#servers.close();
  }
}

interface Made {
  readonly tracker: string;
  readonly tenant_key: string;
  /** Address and port. */
  readonly origin: string;
}

async function publish(servers: Servers, { files, chunk_avg }: PublishedOptions): Promise<Made> {
  const known = programs();
  if (known === undefined) throw new Error("there is no freshet-origin and freshet-tracker to run");
  const at = (name: string): string => servers.at(name);
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(dirname(at(`build/${path}`)), { recursive: true });
    await writeFile(at(`build/${path}`), bytes);
  }
  const trackerArgs = ["--listen", "127.0.0.1:0", "--state-dir", at("state"), "--drain-ms", "0"];
  const tracker = await servers.start(known.tracker, trackerArgs, "tracker");
  const keys = at("keys");
  const stores = ["--store", at("store"), "--log", "error"];
  await run(known.origin, ["keys", "--tenant", "lab", "--keys-dir", keys, "--add-tracker", tracker["key"] as string]);
  const chunks = chunk_avg === undefined ? [] : ["--chunk-avg", chunk_avg];
  const release = ["--keys-dir", keys, "--content", CONTENT, "--version", VERSION, ...stores, ...chunks];
  await run(known.origin, ["publish", at("build"), ...release]);
  const serving = await servers.start(
    known.origin,
    ["serve", "--listen", "127.0.0.1:0", "--store", at("store")],
    "origin",
  );
  const tenant_key = (await readFile(at("keys/tenant.pub"), "utf8")).trim();
  return { tracker: tracker["url"] as string, tenant_key, origin: serving["address"] as string };
}
