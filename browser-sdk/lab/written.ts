/** Files that somebody else writes, whole or not at all. */
import { existsSync, watch } from "node:fs";
import { dirname } from "node:path";

/** Fulfilled once the file is there; its folder is there already. */
export function written(file: string): Promise<void> {
  const found = new AbortController();
  return new Promise((resolve) => {
    const look = (): void => {
      if (!existsSync(file)) return;
      found.abort();
      resolve();
    };
    watch(dirname(file), { signal: found.signal, persistent: false }, look);
    look();
  });
}
