/** The real origin, the real tracker and real nodes, started by the lab. */
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Running } from "./process.ts";
import { written } from "./written.ts";

const ORIGIN = "freshet-origin";
const TRACKER = "freshet-tracker";
const NODE = "freshet-node";
/** The name of the broker among the servers. */
export const BROKER = "broker";
/** Debian puts servers where not everybody's path leads. */
const BROKER_PROGRAM = "/usr/sbin/nats-server";

/** The programs. */
export interface Programs {
  readonly origin: string;
  readonly tracker: string;
  readonly node: string;
}

/** Where programs are looked for: in `FRESHET_BIN_DIR`, or where they were built for release or debugging. */
export function binFolders(): readonly string[] {
  const target = fileURLToPath(new URL("../../target/", import.meta.url));
  const named = process.env["FRESHET_BIN_DIR"];
  return named === undefined ? [join(target, "release"), join(target, "debug")] : [named];
}

/** Where the programs are, all in one folder. */
export function programs(): Programs | undefined {
  const has = (folder: string): boolean => [ORIGIN, TRACKER, NODE].every((program) => existsSync(join(folder, program)));
  const folder = binFolders().find(has);
  if (folder === undefined) return undefined;
  return { origin: join(folder, ORIGIN), tracker: join(folder, TRACKER), node: join(folder, NODE) };
}

/** A port that is free until somebody else takes it, which nobody does on purpose. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** A folder with what servers write, and the servers that run on it. */
export class Servers {
  readonly folder: string;
  readonly #running = new Map<string, Running>();

  constructor(folder: string) {
    this.folder = folder;
  }

  at(name: string): string {
    return join(this.folder, name);
  }

  /** Starts a program; what it writes when it is ready. */
  async start(program: string, args: readonly string[], name: string): Promise<Readonly<Record<string, unknown>>> {
    const ready = this.at(`${name}.json`);
    const running = new Running(program, [...args, "--ready-file", ready, "--log", "error"]);
    this.#running.set(name, running);
    const ended = running.ended.then((end) => {
      throw new Error(`${program} ended with ${end}: ${running.stderr}`);
    });
    await Promise.race([written(ready), ended]);
    return JSON.parse(await readFile(ready, "utf8")) as Record<string, unknown>;
  }

  /** Starts a broker for trackers; its address. */
  async startBroker(): Promise<string> {
    const port = await freePort();
    this.#running.set(BROKER, new Running(BROKER_PROGRAM, ["--addr", "127.0.0.1", "--port", String(port)]));
    return `nats://127.0.0.1:${port}`;
  }

  /** Asks the server of this name to end, and waits for that. */
  async stop(name: string): Promise<void> {
    await this.#running.get(name)?.close();
  }

  /** Kills the servers of these names. */
  async kill(...names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.#running.get(name)?.kill()));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running.values()].map((running) => running.close()));
    await rm(this.folder, { recursive: true });
  }
}
