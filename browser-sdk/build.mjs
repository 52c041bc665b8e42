/**
 * Writes the package to `dist/`: `freshet.js` for bundlers and `<script type="module">`, `freshet.min.js` for a plain
 * `<script>` (it defines `Freshet`), the parts that both load only when they need them, what runs in service workers, and
 * the types.
 *
 * `node build.mjs ENTRY FOLDER` writes only the scripts, of another entry and to another folder.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { minify } from "terser";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Parts with a file of their own, loaded by `import()` in both forms. What they share with the rest, each has itself. */
const LAZY = {
  "freshet-diagnose": here("src/diagnose.ts"),
  "freshet-ed25519": here("src/ed25519/ed25519.ts"),
  "freshet-files": here("src/files.ts"),
  "freshet-prompt": here("src/consent/prompt.ts"),
  "freshet-web-transport": here("src/transport/web_transport.ts"),
};

/**
 * Makes `import()` of lazy parts point to their files, which lie beside the script. A module finds them by itself; a plain
 * script has to by its own address, to which relative `import()`s do not refer in a script of another host.
 */
const besides = (isModule) => ({
  name: "besides",
  setup: ({ onLoad, onResolve }) => {
    onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, ({ path: importer }) => ({
      contents: readFileSync(importer, "utf8").replaceAll(/\bimport\("(.+?)"\)/g, (found, path) => {
        const lazy = Object.keys(LAZY).find((name) => LAZY[name] === resolve(dirname(importer), path));
        if (lazy === undefined) return found;
        return isModule ? `import("./${lazy}.js")` : `import(new URL("${lazy}.js", SCRIPT_URL).href)`;
      }),
      loader: "ts",
    }));
    onResolve({ filter: /^\.\/freshet-[\w-]+\.js$/ }, ({ path }) => ({ path, external: true }));
  },
});

/** Writes one script with all that it imports. */
async function script(entry, file, options) {
  // ASCII only, since a plain script is read in the page's encoding, which need not be UTF-8.
  const common = { bundle: true, minify: true, target: "es2022", charset: "ascii", logLevel: "warning", write: false };
  const source = typeof entry === "string" ? { entryPoints: [entry] } : { stdin: entry };
  const { outputFiles } = await build({ ...common, ...source, outfile: file, ...options });
  // What one leaves the other finds: together they save a twentieth.
  const { code } = await minify(outputFiles[0].text, {
    ecma: 2020,
    module: options.format === "esm",
    toplevel: true,
    compress: { lhs_constants: false, passes: 6, pure_getters: true, unsafe_arrows: true, unsafe_methods: true },
    format: { ascii_only: true },
  });
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, code);
}

async function scripts(entry, folder) {
  for (const [name, source] of Object.entries({ freshet: entry, ...LAZY })) {
    await script(source, join(folder, `${name}.js`), { format: "esm", plugins: [besides(true)] });
  }
  await script(await plainEntry(entry), join(folder, "freshet.min.js"), {
    format: "iife",
    inject: [here("script_url.mjs")],
    plugins: [besides(false)],
  });
}

/** An entry that does not export what `entry` exports, but defines it as `Freshet`. */
async function plainEntry(entry) {
  const { metafile } = await build({ entryPoints: [entry], bundle: true, format: "esm", write: false, metafile: true, outdir: "/" });
  const names = Object.values(metafile.outputs).flatMap(({ exports }) => exports);
  const contents = `import { ${names} } from ${JSON.stringify(entry)}; globalThis.Freshet = { ${names} };`;
  return { contents, resolveDir: dirname(entry), loader: "ts" };
}

/** `worker.js` is for a site's own worker; `freshet-worker.js` can be registered with and without `type: "module"`. */
async function workers(folder) {
  await script(here("src/worker/handle.ts"), join(folder, "worker.js"), { format: "esm" });
  await script(here("src/worker/main.ts"), join(folder, "freshet-worker.js"), { format: "iife" });
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
