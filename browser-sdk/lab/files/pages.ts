/** The documents of the page that fetches published files, built in memory. */
import { fileURLToPath } from "node:url";
import { bundle } from "../pages.ts";
import { sdkScripts } from "../sdk.ts";

const HTML = `<!doctype html>
<meta charset="utf-8">
<title>Freshet lab: files</title>
<meta name="referrer" content="unsafe-url">
<link rel="icon" href="data:,">
<script type="module" src="/lab/files.js"></script>
`;

/** By path; `/lab/files.html` is the page, whose `window.files` is driven from outside. */
export async function filePages(): Promise<Readonly<Record<string, string | Uint8Array>>> {
  const [page, worker, scripts] = await Promise.all([
    bundle(here("page.ts")),
    bundle(here("../../src/worker/main.ts"), "iife"),
    sdkScripts(),
  ]);
  return { "/lab/files.html": HTML, "/lab/files.js": page, "/freshet-worker.js": worker, ...scripts };
}

function here(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}
