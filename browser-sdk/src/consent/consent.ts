/** Whether the user agreed to upload, and what exactly was agreed to. */
import { Emitter } from "../events.ts";
import { localNote, type Note } from "./note.ts";

/** What the user said; `ask`: nothing yet, which allows as little as `denied`. */
export type ConsentState = "ask" | "granted" | "denied";
/** An answer to the question; `later`: not now. */
export type ConsentAnswer = "granted" | "denied" | "later";
/** Puts the question to the user. When the signal aborts, the question is settled, and any answer is ignored. */
export type Asker = (signal: AbortSignal) => Promise<ConsentAnswer>;

/** What this file is given. */
export interface ConsentOptions {
  /** The site's own answer, which is neither remembered nor asked for, or its own way of asking. Default: `ask`. */
  readonly consent?: ConsentState | Asker | undefined;
  /** Puts the question, where the site has no own way. */
  readonly ask: Asker;
  /** Names the text that is agreed to. With another text the user is asked anew. */
  readonly textVersion: string;
  /** Where the answer is remembered. Default: the site's local storage. */
  readonly note?: Note;
  /** Unix time in milliseconds. */
  readonly now?: () => number;
}

/** How long a user who said `later` is left alone: a day. */
export const LATER_MS = 86_400_000;

/** What is remembered: besides the answers, that the user put the question off. */
interface Remembered {
  readonly state: ConsentState | "later";
  /** The text that was answered. */
  readonly text: string;
  /** Unix time of the answer, in milliseconds. */
  readonly time: number;
}

/** Consent of the user of this page. */
export class Consent extends Emitter<{ change: ConsentState }> {
  readonly #note: Note | undefined;
  readonly #ask: Asker;
  readonly #textVersion: string;
  readonly #now: () => number;
  readonly #unwatch: (() => void) | undefined;
  #state: ConsentState = "ask";
  /** Until when the user wants to be left alone, in Unix milliseconds. */
  #quietUntilMs = 0;
  #asking: Promise<void> | undefined;
  #settled = new AbortController();
  #isClosed = false;

  constructor({ consent = "ask", ask, textVersion, note = localNote(), now = Date.now }: ConsentOptions) {
    super();
    this.#ask = typeof consent === "function" ? consent : ask;
    this.#textVersion = textVersion;
    this.#now = now;
    if (consent === "granted" || consent === "denied") {
      this.#state = consent;
    } else {
      this.#note = note;
      // An answer in one tab holds in all: who stops uploading there means it here.
      this.#unwatch = note.watch(() => this.#recall());
      this.#recall();
    }
  }

  get state(): ConsentState {
    return this.#state;
  }

  /** Sets what the user said, and remembers it. `ask` forgets it. */
  set(state: ConsentState): void {
    if (!this.#isClosed) this.#take(state);
  }

  /** Asks, unless there is an answer or the user put the question off. One question at a time. */
  async ask(): Promise<ConsentState> {
    if (this.#state === "ask" && this.#now() >= this.#quietUntilMs && !this.#isClosed) {
      this.#asking ??= this.#question().finally(() => (this.#asking = undefined));
      await this.#asking;
    }
    return this.#state;
  }

  override close(): void {
    this.#isClosed = true;
    this.#unwatch?.();
    this.#settled.abort();
    super.close();
  }

  async #question(): Promise<void> {
    const { signal } = (this.#settled = new AbortController());
    try {
      const answer = await this.#ask(signal);
      if (!signal.aborted) this.#take(answer === "granted" || answer === "denied" ? answer : "later");
    } catch (error) {
      // The site's own way of asking failed, which is no answer.
      console.error(error);
    }
  }

  #take(state: Remembered["state"]): void {
    const remembered: Remembered = { state, text: this.#textVersion, time: this.#now() };
    this.#note?.write(JSON.stringify(remembered));
    this.#become(remembered);
  }

  #recall(): void {
    const remembered = parsed(this.#note?.read());
    this.#become(remembered.text === this.#textVersion ? remembered : {});
  }

  #become({ state, time }: Partial<Remembered>): void {
    // A time in the future is of a clock that was wrong.
    this.#quietUntilMs = state === "later" ? Math.min(Number(time) || 0, this.#now()) + LATER_MS : 0;
    const next = state === "granted" || state === "denied" ? state : "ask";
    // Put off is settled too, for all tabs that ask.
    if (next !== "ask" || state === "later") this.#settled.abort();
    if (next === this.#state) return;
    this.#state = next;
    this.emit("change", next);
  }
}

/** What a note says. Others may write to the same storage, so it may be anything. */
function parsed(note: string | null | undefined): Partial<Remembered> {
  try {
    return Object(JSON.parse(note ?? "")) as Partial<Remembered>;
  } catch {
    return {};
  }
}
