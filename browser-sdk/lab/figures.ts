/** Prints the figures of named scenes: `npm run figures -- NAME... [options]`. */
import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { measure, type Conditions, type Measured } from "./measure.ts";
import { relayTable } from "./relay_table.ts";
import { SCENES } from "./scenes.ts";
import { head, row } from "./table.ts";

const RELAY = "relay";

const USAGE = `npm run figures -- NAME...
  --freshet             with the SDK in each player, a real origin and a real tracker
  --plug FILE           a script that sets window.freshetLab in each page; without it, hls.js plays alone
  --origin-mbit N       the rate of the origin's line, shared by all
  --origin-ms N         its round trip
  --own-processes       a browser for each player
  --screenshots FOLDER  a picture of each page at its end
  --json FILE           everything that was measured

${SCENES.map(({ name, about }) => `  ${name.padEnd(8)} ${about}`).join("\n")}
  ${RELAY.padEnd(8)} what the delay relay passes on this machine
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    freshet: { type: "boolean", default: false },
    plug: { type: "string" },
    "origin-mbit": { type: "string" },
    "origin-ms": { type: "string" },
    "own-processes": { type: "boolean", default: false },
    screenshots: { type: "string" },
    json: { type: "string" },
  },
});

const unknown = positionals.filter((name) => name !== RELAY && !SCENES.some((scene) => scene.name === name));
if (positionals.length === 0) stop(USAGE);
if (unknown.length > 0) stop(`no scene is named ${unknown.join(", ")}\n\n${USAGE}`);

const under = conditions();
if (positionals.includes(RELAY)) await relayTable((text) => process.stdout.write(text));
const scenes = SCENES.filter(({ name }) => positionals.includes(name));
const rows: Measured[] = [];
if (scenes.length > 0) process.stdout.write(head());
for (const scene of scenes) {
  const measured = await measure(scene, under);
  rows.push(measured);
  process.stdout.write(row(measured));
}
if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(rows, undefined, 1)}\n`);
process.exitCode = rows.some(({ done, players, wrong }) => done < players || wrong > 0) ? 1 : 0;

function conditions(): Conditions {
  const { plug, freshet, "origin-mbit": mbit, "origin-ms": latency_ms, "own-processes": own_processes, screenshots } = values;
  return {
    own_processes,
    freshet,
    line: {
      ...(mbit === undefined ? {} : { rate_bytes_per_s: positive("--origin-mbit", mbit) * 125_000 }),
      ...(latency_ms === undefined ? {} : { latency_ms: positive("--origin-ms", latency_ms) }),
    },
    ...(plug === undefined ? {} : { page_script: resolve(plug) }),
    ...(screenshots === undefined ? {} : { screenshots: resolve(screenshots) }),
  };
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) stop(`${option} ${text}: a number above 0 is wanted\n`);
  return value;
}

function stop(why: string): never {
  process.stderr.write(why);
  process.exit(2);
}
