/** Compares the scripts in `dist/` with their budgets in `size.json`, in bytes as gzip sends them. */
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const at = (path) => new URL(path, import.meta.url);

const budgets = JSON.parse(readFileSync(at("size.json"), "utf8"));
const scripts = readdirSync(at("dist")).filter((name) => name.endsWith(".js"));
const faults = [];
for (const name of new Set([...Object.keys(budgets), ...scripts])) {
  const budget = budgets[name];
  if (budget === undefined) {
    faults.push(`${name} has no budget: give it one in size.json, or keep it out of dist/`);
  } else if (!scripts.includes(name)) {
    faults.push(`${name} is not in dist/: take it out of size.json, or see why build.mjs does not write it`);
  } else {
    const bytes = gzipSync(readFileSync(at(`dist/${name}`)), { level: 9 }).length;
    console.log(`${name.padEnd(20)} ${String(bytes).padStart(6)} of ${String(budget).padStart(6)} bytes gzip`);
    if (bytes > budget) faults.push(`${name} is ${bytes - budget} bytes over its budget`);
  }
}
for (const fault of faults) console.error(fault);
process.exitCode = faults.length === 0 ? 0 : 1;
