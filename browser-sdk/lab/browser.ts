/** Chromium, headless: as many profiles as players, in one browser process or in one each. */
import { existsSync } from "node:fs";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";

export const CHROMIUM = process.env["FRESHET_CHROMIUM"] ?? "/usr/bin/chromium";

/** QUIC stays on, since WebTransport needs it. */
export const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--autoplay-policy=no-user-gesture-required",
  "--mute-audio",
];

/** Whether there is a browser to run at all. */
export function hasChromium(): boolean {
  return existsSync(CHROMIUM);
}

/** A page, and what went wrong in it. */
export interface Tab {
  readonly page: Page;
  /** Errors that the page or the console told of, in order. */
  readonly problems: readonly string[];
  close(): Promise<void>;
}

export interface BrowserOptions {
  /**
   * A browser process for each tab. Without it all share one, each with a profile of its own: own storage, cache,
   * connections and WebRTC identity, and a renderer process of its own.
   */
  readonly own_processes?: boolean;
  /** Further flags of Chromium. */
  readonly flags?: readonly string[];
}

/** Runs something with browsers, and ends them whatever happens. */
export async function withBrowsers<T>(options: BrowserOptions, use: (browsers: Browsers) => Promise<T>): Promise<T> {
  const browsers = new Browsers(options);
  try {
    return await use(browsers);
  } finally {
    await browsers.close();
  }
}

export class Browsers {
  readonly #options: BrowserOptions;
  readonly #launched: Promise<Browser>[] = [];

  constructor(options: BrowserOptions) {
    this.#options = options;
  }

  /** Opens a URL in a new profile, where `before` runs before the page's own scripts. Resolves when those have run. */
  async open(url: string, before?: string): Promise<Tab> {
    const browser = await this.#browser();
    const context = await browser.newContext({ viewport: { width: 700, height: 460 } });
    if (before !== undefined) await context.addInitScript(before);
    const tab = await tabIn(context);
    await tab.page.goto(url, { waitUntil: "load" });
    return tab;
  }

  async close(): Promise<void> {
    const launched = await Promise.allSettled(this.#launched.splice(0));
    await Promise.all(launched.map((one) => (one.status === "fulfilled" ? one.value.close() : undefined)));
  }

  #browser(): Promise<Browser> {
    const [shared] = this.#launched;
    if (shared && !this.#options.own_processes) return shared;
    // The flag of headless mode is in the list: `headless` would choose Playwright's own browser.
    const args = [...FLAGS, ...(this.#options.flags ?? [])];
    const launched = chromium.launch({ executablePath: CHROMIUM, headless: false, args });
    this.#launched.push(launched);
    return launched;
  }
}

async function tabIn(context: BrowserContext): Promise<Tab> {
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(`console: ${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => problems.push(`page: ${error.message}`));
  page.on("crash", () => problems.push("the page crashed"));
  return { page, problems, close: () => context.close() };
}
