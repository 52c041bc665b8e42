/**
 * A relay on loopback for UDP and TCP that makes a path long and narrow: put it between a browser and a server. It runs
 * in a process of its own, so that what else the lab does makes no packet late.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export interface RelayOptions {
  /** Where everything goes: a port of 127.0.0.1. */
  readonly to_port: number;
  /** Half of it each way. */
  readonly rtt_ms: number;
  /** Of each direction, shared by all flows; without it, only the delay. */
  readonly rate_bytes_per_s?: number;
  /** What waits before the line at most, by default 1,000 ms. Datagrams beyond are dropped, senders of streams wait. */
  readonly queue_ms?: number;
}

export interface RelayCounts {
  readonly datagrams: number;
  /** Dropped because the line's queue was full. */
  readonly dropped_by_queue: number;
  /** Dropped by the system, because the relay did not read them in time: the relay's fault, not the line's. */
  readonly dropped_by_system: number;
}

export class Relay {
  /** On 127.0.0.1, for both UDP and TCP. */
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start(options: RelayOptions): Promise<Relay> {
    const execArgv = ["--import", new URL("typescript.mjs", import.meta.url).href];
    const script = fileURLToPath(new URL("relay_process.ts", import.meta.url));
    const child = fork(script, [JSON.stringify(options)], { execArgv });
    const ended = once(child, "exit").then(([code]) => {
      throw new Error(`the relay ended with ${String(code)}`);
    });
    ended.catch(() => undefined);
    const [port] = (await Promise.race([once(child, "message"), ended])) as [number];
    return new Relay(child, port);
  }

  async counts(): Promise<RelayCounts> {
    const answer = once(this.#child, "message");
    this.#child.send("counts");
    const [counts] = (await answer) as [RelayCounts];
    return counts;
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.disconnect();
    await ended;
  }
}
