/**
 * The question, as a small dialog in a corner of the page. Built by DOM calls and a constructed style sheet only, so
 * that it works under the strictest content security policy, trusted types included; without motion or outside
 * resources.
 */
import type { PromptCaps } from "./caps.ts";
import type { ConsentAnswer } from "./consent.ts";
import { textFor } from "./text.ts";

/** What is asked, and how. */
export interface PromptOptions extends PromptCaps {
  /** Language tag (BCP 47). Default: the browser's. */
  readonly language?: string;
  /** Shows more, such as the site's page on privacy. Without it no such button is seen. */
  readonly onMore?: (() => void) | undefined;
  /** Takes the question back, which counts as `later`. */
  readonly signal?: AbortSignal;
}

// The dialog and its buttons keep the browser's own look, which follows the light, dark or high-contrast scheme of the
// user's choice, shows the focus and makes no button weigh more than another.
const CSS = `
:host{all:initial;color-scheme:light dark;position:fixed;z-index:2147483647;inset-block-end:16px;inset-inline-end:16px;font:medium/1.4 system-ui}
dialog{position:static;box-sizing:border-box;width:min(26em,100vw - 32px);max-height:calc(100vh - 32px);overflow:auto;border:1px solid GrayText;border-radius:12px;word-break:keep-all}
h2{margin:0;font-size:1.2em}
ul{padding-inline-start:1.2em}
p{display:grid;grid-auto-flow:column;grid-auto-columns:1fr;gap:8px;margin:0}
button{min-height:44px;padding:2px;font:inherit}`;

/** Where a user types, the dialog does not take the keyboard away. */
const TYPING = "input,textarea,select,iframe,[contenteditable]";

/** Asks. Escape means not now. */
export function showPrompt({ language = navigator.language, onMore, signal, ...caps }: PromptOptions): Promise<ConsentAnswer> {
  const before = document.activeElement as HTMLElement | null;
  const host = make("div", {});
  return new Promise((resolve) => {
    const end = (answer: ConsentAnswer) => {
      signal?.removeEventListener("abort", putOff);
      const isFocused = document.activeElement === host;
      host.remove();
      if (isFocused) before?.focus?.({ preventScroll: true });
      resolve(answer);
    };
    const putOff = () => end("later");
    const dialog = dialogOf(language, caps, [onMore, putOff, () => end("denied"), () => end("granted")]);
    dialog.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      putOff();
    });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
    const root = host.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    root.append(dialog);
    // Beside the body, which pages replace.
    document.documentElement.append(host);
    // The dialog and not a button, so that a key meant for the player agrees to nothing.
    if (!before?.matches(TYPING)) dialog.focus({ preventScroll: true });
    signal?.addEventListener("abort", putOff);
    if (signal?.aborted) putOff();
  });
}

/** The dialog, whose buttons do what `clicked` says in the order of their labels; what does nothing is not seen. */
function dialogOf(language: string, caps: PromptCaps, clicked: readonly ((() => void) | undefined)[]): HTMLElement {
  const text = textFor(language);
  const buttons = text.labels.map((label, at) => {
    const button = make("button", { type: "button" }, label);
    button.addEventListener("click", () => clicked[at]?.());
    button.hidden = !clicked[at];
    return button;
  });
  return make(
    "dialog",
    { open: "", tabindex: "-1", "aria-labelledby": "t", "aria-describedby": "d", lang: text.language, dir: "ltr" },
    make("h2", { id: "t" }, text.title),
    make("ul", { id: "d" }, ...text.points(caps).map((point) => make("li", {}, point))),
    make("p", {}, ...buttons),
  );
}

function make(tag: string, attributes: Readonly<Record<string, string>>, ...children: (Node | string)[]): HTMLElement {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
