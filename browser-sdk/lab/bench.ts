/**
 * `npm run bench`: what is promised of browsers. Wires are measured beside plain HTTP, crowds once with hls.js alone and
 * once with the SDK. `npm run bench -- wires` measures only these, `-- crowds` only those.
 */
import { lineHead, lineText, lines, wireLines, type Line } from "./lines.ts";
import { measure, type Measured } from "./measure.ts";
import { SCENES } from "./scenes.ts";
import { head, row, wireHead, wireRow } from "./table.ts";
import { measureWire, WIRES } from "./wires.ts";

const PARTS = { wires, crowds } as const;

const named = process.argv.slice(2);
const unknown = named.filter((name) => !(name in PARTS));
if (unknown.length > 0) throw new Error(`no part is named ${unknown.join(", ")}; there are ${Object.keys(PARTS).join(", ")}`);
for (const [name, part] of Object.entries(PARTS)) {
  if (named.length === 0 || named.includes(name)) await part();
}

async function wires(): Promise<void> {
  const judged: (readonly [string, Line])[] = [];
  process.stdout.write(wireHead());
  for (const scene of WIRES) {
    const rates = await measureWire(scene);
    process.stdout.write(wireRow(scene.name, rates));
    judged.push(...wireLines(scene, rates).map((line) => [scene.name, line] as const));
  }
  tell("plain HTTP", judged);
}

async function crowds(): Promise<void> {
  const judged: (readonly [string, Line])[] = [];
  process.stdout.write(head());
  for (const scene of SCENES) {
    const [plain, ours]: [Measured[], Measured[]] = [[], []];
    for (let run = 0; run < (scene.runs ?? 1); run += 1) {
      const alone = await measure(scene, {});
      process.stdout.write(row({ ...alone, scene: `${scene.name} -` }));
      plain.push(alone);
      const swarm = await measure(scene, { freshet: true });
      process.stdout.write(row(swarm));
      ours.push(swarm);
    }
    judged.push(...lines(middle(ours), middle(plain)).map((line) => [scene.name, line] as const));
  }
  tell("plain player", judged);
}

/** The run with the median startup. */
function middle(runs: readonly Measured[]): Measured {
  const sorted = [...runs].sort((a, b) => a.startup_ms.median - b.startup_ms.median);
  return sorted[sorted.length >> 1] as Measured;
}

function tell(reference: string, judged: readonly (readonly [string, Line])[]): void {
  process.stdout.write(`\n${lineHead(reference)}`);
  for (const [scene, line] of judged) process.stdout.write(lineText(scene, line));
  process.stdout.write("\n");
  if (judged.some(([, { isKept }]) => !isKept)) process.exitCode = 1;
}
