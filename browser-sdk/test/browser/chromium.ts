/** A real Chromium, and pages of a real server for it. */
import { existsSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";

/** Where the browser is; another place by `CHROMIUM`. */
export const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
/** Whether there is one. Its absence is said loudly. */
export const hasChromium = existsSync(CHROMIUM);
if (!hasChromium) console.warn(`NOT TESTED in a browser: ${CHROMIUM} is missing; set CHROMIUM to one`);

/** What a page is allowed to do: nothing but the script under test, and no strings as code or markup. */
export const STRICT_POLICY =
  "default-src 'none'; script-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'";

/** A file of the server. */
export interface Served {
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Bundles a file of `test/browser/` as a classic script. */
export async function scriptOf(file: string): Promise<Served> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(file, import.meta.url))],
    bundle: true,
    write: false,
    format: "iife",
    target: "es2022",
  });
  return { type: "text/javascript", body: outputFiles[0]?.text ?? "" };
}

/** A page with `script` and `body` under a content security policy. */
export function pageOf(policy: string, script: string, body = "", attributes = 'lang="en"'): Served {
  return {
    type: "text/html",
    body: `<!doctype html><html ${attributes}><title>page</title><body>${body}<script src="${script}"></script>`,
    headers: { "content-security-policy": policy },
  };
}

/** Serves files by their paths on loopback. */
export class Site {
  readonly #server: Server;
  readonly url: string;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://localhost:${(server.address() as AddressInfo).port}`;
  }

  static async serve(files: Readonly<Record<string, Served>>): Promise<Site> {
    const server = createServer(({ url = "/" }, response) => {
      const file = files[new URL(url, "http://localhost").pathname];
      response.writeHead(file ? 200 : 404, { "content-type": `${file?.type}; charset=utf-8`, ...file?.headers });
      response.end(file?.body);
    });
    await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
    return new Site(server);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Starts the browser. */
export function startChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: ["--headless=new", "--no-sandbox", "--disable-gpu"] });
}

/** Opens a page, whose faults and breaches of policy are gathered in `faults`. */
export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<{ page: Page; faults: string[] }> {
  const page = await (await browser.newContext(options)).newPage();
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(error.message));
  // Chromium reports breaches of policy as errors on the console.
  page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
  await page.goto(url);
  return { page, faults };
}
