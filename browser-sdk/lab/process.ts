/** Programs that the lab starts. None outlives it. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";

/** Bytes of a program's last words that are kept for the message about its failure. */
const STDERR_CHARS_MAX = 4_000;

export interface Options {
  readonly cwd?: string;
}

/** A program that runs. */
export class Running {
  readonly program: string;
  readonly #child: ChildProcess;
  #stderr = "";
  /** Fulfilled with its exit code, or with the signal that ended it. */
  readonly ended: Promise<number | string>;

  constructor(program: string, args: readonly string[], options: Options = {}) {
    this.program = program;
    this.#child = spawn(program, args, { ...options, stdio: ["ignore", "ignore", "pipe"] });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARS_MAX);
    });
    const onExit = () => void this.#child.kill("SIGKILL");
    process.once("exit", onExit);
    this.ended = once(this.#child, "close").then(
      ([code, signal]: (number | string | null)[]) => {
        process.off("exit", onExit);
        return code ?? signal ?? "unknown";
      },
      (error: unknown) => {
        process.off("exit", onExit);
        throw new Error(`cannot start ${program}: ${String(error)}; is it installed?`);
      },
    );
    // Whoever awaits `ended` sees the failure; nobody has to.
    this.ended.catch(() => undefined);
  }

  get stderr(): string {
    return this.#stderr.trim();
  }

  /** Ends the program at once and waits until it is gone. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended.catch(() => undefined);
  }

  /** Asks the program to end and waits until it is gone. */
  async close(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.ended.catch(() => undefined);
  }
}

/** Runs a program to its end. Throws with its last words unless it ends well. */
export async function run(program: string, args: readonly string[], options: Options = {}): Promise<void> {
  const running = new Running(program, args, options);
  const end = await running.ended;
  if (end !== 0) throw new Error(`${program} ended with ${end}: ${running.stderr}`);
}
