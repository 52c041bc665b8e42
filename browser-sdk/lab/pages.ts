/** The documents of the player's page, built in memory. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import { media } from "./media.ts";
import { SDK_PREFIX, sdkScripts } from "./sdk.ts";

/** By path; `/lab/player.html` is the page, `/lab/warm.mp4` a clip that any browser plays. */
export async function playerPages(): Promise<Readonly<Record<string, string | Uint8Array>>> {
  const clip = await media({ seconds: 2, container: "fmp4", renditions: 1, byte_ranges: true });
  const [html, css, hls, player, warm] = await Promise.all([
    readFile(here("player/player.html")),
    readFile(here("player/player.css")),
    readFile(here("../node_modules/hls.js/dist/hls.min.js")),
    bundle(here("player/player.ts")),
    readFile(join(clip.folder, "360p.mp4")),
  ]);
  return {
    "/lab/player.html": html,
    "/lab/player.css": css,
    "/lab/hls.min.js": hls,
    "/lab/player.js": player,
    "/lab/warm.mp4": warm,
    ...(await sdkScripts()),
  };
}

/** What pages import as the SDK is the module that ships, and not its sources. */
const shipped: Plugin = {
  name: "shipped",
  setup: ({ onResolve }) => {
    onResolve({ filter: /\/src\/index\.ts$/ }, () => ({ path: `${SDK_PREFIX}freshet.js`, external: true }));
  },
};

/** One ES module, or one plain script, of a script and all that it imports but the SDK. */
export async function bundle(path: string, format: "esm" | "iife" = "esm"): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [path],
    bundle: true,
    write: false,
    format,
    platform: "browser",
    target: "es2022",
    logLevel: "silent",
    plugins: [shipped],
  });
  const [file] = outputFiles;
  if (!file) throw new Error(`esbuild made nothing of ${path}`);
  return file.contents;
}

function here(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}
