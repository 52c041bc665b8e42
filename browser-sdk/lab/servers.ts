/** The real origin, the real tracker and real nodes, started by the lab. */
import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Running } from "./process.ts";
import { written } from "./written.ts";

const ORIGIN = "freshet-origin";
const TRACKER = "freshet-tracker";
const NODE = "freshet-node";

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

/** A folder with what servers write, and the servers that run on it. */
export class Servers {
  readonly folder: string;
  readonly #running: Running[] = [];

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
    this.#running.push(running);
    const ended = running.ended.then((end) => {
      throw new Error(`${program} ended with ${end}: ${running.stderr}`);
    });
    await Promise.race([written(ready), ended]);
    return JSON.parse(await readFile(ready, "utf8")) as Record<string, unknown>;
  }

  /** Ends the servers that run a program. */
  async kill(program: string): Promise<void> {
    await Promise.all(this.#running.filter((running) => running.program === program).map((running) => running.close()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#running.map((running) => running.close()));
    await rm(this.folder, { recursive: true });
  }
}
