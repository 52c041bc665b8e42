/** The documents of the page that links to a node, built in memory. */
import { fileURLToPath } from "node:url";
import { bundle } from "../pages.ts";

const HTML = `<!doctype html>
<meta charset="utf-8">
<title>Freshet lab: wires</title>
<link rel="icon" href="data:,">
<script type="module" src="/lab/wires.js"></script>
`;

/** By path; `/lab/wires.html` is the page, whose `window.wires` is driven from outside. */
export async function wirePages(): Promise<Readonly<Record<string, string | Uint8Array>>> {
  const page = await bundle(fileURLToPath(new URL("page.ts", import.meta.url)));
  return { "/lab/wires.html": HTML, "/lab/wires.js": page };
}
