/**
 * Keeps `api.md`, a report of what the package exports: the declarations of all exported names and of what they
 * mention, without comments. It is committed, so that the interface changes on purpose only.
 *
 * `node api.mjs` says whether it is current with `dist/types`, `node api.mjs --write` makes it so.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";

const REPORT = new URL("api.md", import.meta.url);
const TYPES = new URL("dist/types/", import.meta.url);
const HEAD = `# What the package exports

By the files that declare it. What is \`internal\` has no name outside, and is shown because others mention it. Made by
\`npm run build && npm run api -- --write\`.
`;

const fileOf = (specifier, from) => new URL(specifier.replace(/\.ts$/, ".d.ts"), from);

/** One emitted file: its top-level declarations by name, and where its other names come from. */
function readTypes(url) {
  const text = readFileSync(url, "utf8").replaceAll(/\/\*[^]*?\*\//g, "");
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  // A statement begins with one of these words in the first column; what comments stood in is not indented either.
  const statements = lines.join("\n").split(/\n(?=(?:import|export|declare|interface|type|class|const|let|function)\b)/);
  const file = { url, declarations: new Map(), from: new Map() };
  for (const statement of statements) {
    const names = /^(?:import|export)(?: type)? \{([^}]*)\} from "(.+)";$/.exec(statement);
    const declared = /^(?:export )?(?:declare )?(?:abstract )?(?:class|interface|type|const|let|function) ([\w$]+)/.exec(statement);
    if (names) {
      for (const part of names[1].split(",").map((one) => one.trim()).filter(Boolean)) {
        const [name, local = name] = part.replace(/^type /, "").split(" as ");
        file.from.set(local, { name, url: fileOf(names[2], url) });
      }
    } else if (declared) {
      const before = file.declarations.get(declared[1]);
      file.declarations.set(declared[1], before === undefined ? statement : `${before}\n${statement}`);
    } else if (statement !== "export {};") {
      throw new Error(`${url.pathname}: api.mjs cannot read "${statement.split("\n")[0]}"`);
    }
  }
  return file;
}

const files = new Map();
function typesAt(url) {
  if (!files.has(url.href)) files.set(url.href, readTypes(url));
  return files.get(url.href);
}

/** Where `name` of a file is declared, through whatever files hand it on. */
function declarationOf(name, url) {
  const file = typesAt(url);
  if (file.declarations.has(name)) return { name, file };
  const from = file.from.get(name);
  return from && declarationOf(from.name, from.url);
}

/** What a declaration mentions. A word that is no name of the file is of the language or the platform. */
function mentionsOf({ name, file }) {
  const statement = file.declarations.get(name);
  const inline = [...statement.matchAll(/import\("(.+?)"\)\.([\w$]+)/g)];
  return [
    ...inline.map(([, specifier, mentioned]) => declarationOf(mentioned, fileOf(specifier, file.url))),
    ...[...statement.matchAll(/[\w$]+/g)].map(([word]) => declarationOf(word, file.url)),
  ].filter(Boolean);
}

function report() {
  const index = new URL("index.d.ts", TYPES);
  const { declarations, from } = typesAt(index);
  const exported = [...from.keys(), ...declarations.keys()].map((name) => declarationOf(name, index));
  const keyOf = ({ name, file }) => `${file.url.href.slice(TYPES.href.length)} ${name}`;
  const shown = new Map();
  const open = [...exported];
  for (let one = open.pop(); one; one = open.pop()) {
    if (shown.has(keyOf(one))) continue;
    shown.set(keyOf(one), one);
    open.push(...mentionsOf(one));
  }
  const isPublic = new Set(exported.map(keyOf));
  const declared = new Map();
  for (const key of [...shown.keys()].sort()) {
    const { name, file } = shown.get(key);
    const declaration = file.declarations.get(name).replaceAll(/^export /gm, "");
    const path = key.split(".d.ts ")[0];
    const text = isPublic.has(key) ? declaration : `/* internal */ ${declaration}`;
    declared.set(path, [...(declared.get(path) ?? []), text]);
  }
  const parts = [...declared].map(([path, texts]) => `\n## ${path}\n\n\`\`\`ts\n${texts.join("\n")}\n\`\`\`\n`);
  return HEAD + parts.join("");
}

const current = report();
if (process.argv.includes("--write")) {
  writeFileSync(REPORT, current);
} else if (!existsSync(REPORT) || readFileSync(REPORT, "utf8") !== current) {
  console.error("api.md is not what the package exports: run `npm run build && npm run api -- --write`, and look at what changed");
  process.exitCode = 1;
}
