/** `npm run bench`: what is promised of browsers, each crowd once with hls.js alone and once with the SDK. */
import { lineText, lines } from "./lines.ts";
import { measure } from "./measure.ts";
import { SCENES } from "./scenes.ts";
import { head, row } from "./table.ts";

const texts: string[] = [];
let isMissed = false;
process.stdout.write(head());
for (const scene of SCENES) {
  const plain = await measure(scene, {});
  process.stdout.write(row({ ...plain, scene: `${scene.name} -` }));
  const ours = await measure(scene, { freshet: true });
  process.stdout.write(row(ours));
  const judged = lines(ours, plain);
  isMissed ||= judged.some(({ isKept }) => !isKept);
  texts.push(...judged.map((line) => lineText(scene.name, line)));
}
process.stdout.write("\nscene     line                            wanted                reached           plain player\n");
for (const text of texts) process.stdout.write(text);
process.exitCode = isMissed ? 1 : 0;
