/** The SDK as it ships: what the lab's pages load, once built for all of them. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./process.ts";

/** The page script that plugs the SDK into a player. */
export const SDK = here("fixtures/freshet.ts");
/** Where the scripts of {@link sdkScripts} lie on a site. */
export const SDK_PREFIX = "/sdk/";
/** Names the folder of a build that is there already. */
const FOLDER = "FRESHET_SDK_DIR";

let made: Promise<Readonly<Record<string, Uint8Array>>> | undefined;

/** All scripts that the package's build makes, by path. */
export function sdkScripts(): Promise<Readonly<Record<string, Uint8Array>>> {
  made ??= scripts();
  return made;
}

/** Builds once for all of vitest's processes; it asks for each of its projects. */
export async function setup(): Promise<void> {
  process.env[FOLDER] ??= await build();
}

export async function teardown(): Promise<void> {
  const folder = process.env[FOLDER];
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
}

async function scripts(): Promise<Readonly<Record<string, Uint8Array>>> {
  const given = process.env[FOLDER];
  const folder = given ?? (await build());
  const files = (await readdir(folder)).map(async (name) => {
    return [`${SDK_PREFIX}${name}`, await readFile(join(folder, name))] as const;
  });
  const read = Object.fromEntries(await Promise.all(files));
  if (given === undefined) await rm(folder, { recursive: true });
  return read;
}

async function build(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "freshet-lab-sdk-"));
  await run(process.execPath, [here("../build.mjs"), here("../src/index.ts"), folder]);
  return folder;
}

function here(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}
