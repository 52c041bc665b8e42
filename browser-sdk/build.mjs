/**
 * Writes the package to `dist/`: `freshet.js` for bundlers and `<script type="module">`, `freshet.min.js` for a plain
 * `<script>` (it defines `Freshet`), the parts that both load only when they need them, what runs in service workers, and
 * the types.
 *
 * `node build.mjs ENTRY FOLDER` writes only the scripts, of another entry and to another folder.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Parts with a file of their own, loaded by `import()` in both forms. They share no code with the rest. */
const LAZY = {
  "freshet-ed25519": here("src/ed25519/ed25519.ts"),
  "freshet-prompt": here("src/consent/prompt.ts"),
};

/**
 * The plain script has no other files than the lazy parts, which lie beside it. It has to find them by its own address,
 * to which relative `import()`s do not refer in a script of another host.
 */
const besides = {
  name: "besides",
  setup: ({ onLoad }) =>
    onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, ({ path: importer }) => ({
      contents: readFileSync(importer, "utf8").replaceAll(/\bimport\("(.+?)"\)/g, (found, path) => {
        const lazy = Object.keys(LAZY).find((name) => LAZY[name] === resolve(dirname(importer), path));
        return lazy ? `import(new URL("${lazy}.js", SCRIPT_URL).href)` : found;
      }),
      loader: "ts",
    })),
};

async function scripts(entry, folder) {
  // ASCII only, since a plain script is read in the page's encoding, which need not be UTF-8.
  const common = { outdir: folder, bundle: true, minify: true, target: "es2022", charset: "ascii", logLevel: "warning" };
  await build({
    ...common,
    entryPoints: { freshet: entry, ...LAZY },
    format: "esm",
    splitting: true,
    chunkNames: "freshet-[hash]",
  });
  await build({
    ...common,
    entryPoints: { "freshet.min": entry },
    format: "iife",
    globalName: "Freshet",
    inject: [here("script_url.mjs")],
    plugins: [besides],
  });
}

/** `worker.js` is for a site's own worker; `freshet-worker.js` can be registered with and without `type: "module"`. */
async function workers(folder) {
  const common = { bundle: true, minify: true, target: "es2022", charset: "ascii", logLevel: "warning", outdir: folder };
  await build({ ...common, entryPoints: { worker: here("src/worker/handle.ts") }, format: "esm" });
  await build({ ...common, entryPoints: { "freshet-worker": here("src/worker/main.ts") }, format: "iife" });
}

const [entry, folder] = process.argv.slice(2);
if (entry && folder) {
  await scripts(resolve(entry), resolve(folder));
} else {
  rmSync(here("dist"), { recursive: true, force: true });
  await scripts(here("src/index.ts"), here("dist"));
  await workers(here("dist"));
  const tsc = here("node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [tsc, "-p", here("tsconfig.build.json")], { stdio: "inherit" });
}
