/** Puts the parts that ask for consent within reach of a test. */
import { pageSurroundings } from "../../src/surroundings.ts";
import { Consent } from "../../src/consent/consent.ts";
import { showPrompt } from "../../src/consent/prompt.ts";

/** What the site remembers, without anybody to ask. */
const consent = () => new Consent({ ask: () => Promise.resolve("later"), textVersion: "1" });

const parts = { consent, pageSurroundings, showPrompt };

declare global {
  interface Window {
    parts: typeof parts;
    /** What a test waits for in a later step. */
    pending: Promise<unknown>;
    seen: unknown[];
  }
}
window.parts = parts;
