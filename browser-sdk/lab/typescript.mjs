/** Lets Node run TypeScript: `node --import ./lab/typescript.mjs FILE.ts`. Types are stripped by esbuild, file by file. */
import { register } from "node:module";

register("./typescript_hooks.mjs", import.meta.url);
