/** Processor time before others, for what has to happen at its instant. */
import { spawnSync } from "node:child_process";

/**
 * Real-time priority for all threads of this process. Only root may have it; for others nothing changes, and on a busy
 * machine packets come later than they should.
 */
export function beUrgent(): void {
  spawnSync("chrt", ["--rr", "--all-tasks", "--pid", "1", String(process.pid)], { stdio: "ignore" });
}
