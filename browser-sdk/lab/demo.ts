/** `make demo-watch`: pages to watch and to download, on a real origin and a real tracker, until Ctrl-C. */
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { randomFillSync } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Live } from "./live.ts";
import { media } from "./media.ts";
import { run } from "./process.ts";
import { programs, Servers } from "./servers.ts";
import { StaticSite } from "./static_site.ts";
import { streamKey } from "./swarm.ts";

const [FILM, LIVE, DASH, BUILD] = ["demo/film", "demo/live", "demo/dash", "demo/build"];
const FILE = "data.bin";
const FILE_BYTES = 64 << 20;
/** Segments that the live playlist shows. */
const WINDOW_SEGMENTS = 6;

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const known = programs();
if (known === undefined) throw new Error("there is no freshet-origin and freshet-tracker to run: make build");
const { origin, tracker } = known;
const servers = new Servers(await mkdtemp(join(tmpdir(), "freshet-demo-")));
const closing: (() => Promise<void>)[] = [() => servers.close()];
const asked = Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);

const started = start();
try {
  await Promise.race([started, asked]);
  await asked;
} finally {
  say("\nStopping.");
  // What is half started would otherwise outlive this program.
  await started.catch(() => undefined);
  for (let close = closing.pop(); close; close = closing.pop()) await close();
}

async function start(): Promise<void> {
  const keys = ["--tenant", "demo", "--keys-dir", servers.at("keys")];
  await run(origin, ["keys", ...keys, "--add-stream"]);
  const publisher = await streamKey(servers.at("keys/keys.json"));
  const local = ["--listen", "127.0.0.1:0"];
  const trackerArgs = [...local, "--state-dir", servers.at("state"), "--publisher", publisher];
  const { key, url } = await servers.start(tracker, trackerArgs, "tracker");
  await run(origin, ["keys", ...keys, "--add-tracker", key as string]);
  const own = ["--keys-dir", servers.at("keys"), "--store", servers.at("store")];

  say("Making a film of a minute …");
  const film = await media({ seconds: 60, container: "ts", renditions: 1 });
  await run(origin, ["publish-hls", film.folder, "--content", FILM, "--master", film.master, ...own]);
  const dash = servers.at("dash");
  await mkdir(dash);
  const copy = ["-c", "copy", "-tag:v", "avc1", "-tag:a", "mp4a", "-f", "dash", "-seg_duration", "2", join(dash, "film.mpd")];
  await run("ffmpeg", ["-v", "error", "-i", join(film.folder, film.master), ...copy]);
  await run(origin, ["publish", dash, "--content", DASH, "--version", "1.0", ...own]);
  await mkdir(servers.at("build"));
  await writeFile(join(servers.at("build"), FILE), randomFillSync(new Uint8Array(FILE_BYTES)));
  await run(origin, ["publish", servers.at("build"), "--content", BUILD, "--version", "1.0", ...own]);

  say("Starting a live stream …");
  const folder = servers.at("live");
  await mkdir(folder);
  const layout = { container: "ts", renditions: 1 } as const;
  const live = new Live({ layout, to: folder, window_segments: WINDOW_SEGMENTS });
  closing.push(() => live.close());
  await live.ready(folder, 1);
  await servers.start(origin, ["ingest", "--watch", folder, "--content", LIVE, ...own, "--tracker", url as string], "in");
  const { address } = await servers.start(origin, ["serve", ...local, "--store", servers.at("store")], "origin");

  const tenantKey = (await readFile(servers.at("keys/tenant.pub"), "utf8")).trim();
  const files = { file: `${BUILD}/files/1.0/${FILE}`, dash: `${DASH}/files/1.0/film.mpd` };
  const site = await StaticSite.start({
    documents: {
      "/freshet.json": JSON.stringify({ tracker: url, tenantKey, film: FILM, live: LIVE, ...files }),
      "/hls.min.js": await readFile(here("../node_modules/hls.js/dist/hls.min.js")),
      "/dash.min.js": await readFile(here("../node_modules/dashjs/dist/modern/umd/dash.all.min.js")),
      "/freshet-worker.js": await readFile(here("../dist/freshet-worker.js")),
    },
    // The SDK's script and its parts lie beside each other.
    folders: { "/examples/": here("../examples"), "/sdk/": here("../dist") },
    upstream: `http://${address as string}`,
  });
  closing.push(() => site.close());
  say(`
Open one of these in two tabs, and agree in both:

  film      ${site.url}/examples/watch.html
  live      ${site.url}/examples/watch.html?live
  dash.js   ${site.url}/examples/dash.html
  download  ${site.url}/examples/download.html

Ctrl-C stops everything.`);
}
