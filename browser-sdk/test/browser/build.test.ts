/** Both forms of the package find the part that they load late, from another host and under a strict policy. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type * as identityPage from "./identity_page.ts";
import { hasChromium, openPage, Site, startChromium, type Served } from "./chromium.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The scripts that the build makes of an entry, by their paths. */
function built(entry: string): Record<string, Served> {
  const folder = mkdtempSync(join(tmpdir(), "freshet-build-"));
  try {
    execFileSync(process.execPath, [here("../../build.mjs"), here(entry), folder]);
    const headers = { "access-control-allow-origin": "*" };
    const served = (name: string): Served => ({ type: "text/javascript", body: readFileSync(join(folder, name), "utf8"), headers });
    return Object.fromEntries(readdirSync(folder).map((name) => [`/sdk/${name}`, served(name)]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Run before the page's own scripts, in a browser that shall have no Ed25519. */
function refuseEd25519(): void {
  for (const method of ["generateKey", "importKey"] as const) {
    const native = crypto.subtle[method].bind(crypto.subtle) as (...given: unknown[]) => Promise<unknown>;
    const refusing = (...given: unknown[]) =>
      given.includes("Ed25519") ? Promise.reject(new DOMException("", "NotSupportedError")) : native(...given);
    Object.assign(crypto.subtle, { [method]: refusing });
  }
}

/** Run in the page: whether what an identity signs verifies; or why there is none. */
async function tryIdentity(): Promise<string> {
  const sdk = (window as unknown as { Freshet: typeof identityPage }).Freshet;
  try {
    const { key, keyId } = await sdk.createIdentity();
    const message = new Uint8Array([1, 2, 3]);
    await sdk.verify(key.public, message, await key.sign(message));
    return /^[0-9a-f]{64}$/.test(keyId) ? "signs" : keyId;
  } catch (error) {
    return (error as Error).name;
  }
}

describe.skipIf(!hasChromium)("the build", () => {
  let site: Site;
  let whole: Site;
  let alone: Site;
  let browser: Browser;

  beforeAll(async () => {
    const scripts = built("identity_page.ts");
    whole = await Site.serve(scripts);
    // Somebody took one file and left the rest.
    alone = await Site.serve(Object.fromEntries(Object.entries(scripts).filter(([path]) => !path.includes("ed25519"))));
    const pages = [whole, alone].flatMap(({ url }, at): [string, Served][] => {
      const headers = { "content-security-policy": `default-src 'none'; script-src 'self' ${url}` };
      const page = (script: string): Served => ({ type: "text/html", body: `<!doctype html>${script}`, headers });
      return [
        [`/plain${at}`, page(`<script src="${url}/sdk/freshet.min.js"></script>`)],
        [`/module${at}`, page(`<script type="module" src="/module${at}.js"></script>`)],
        [`/module${at}.js`, { type: "text/javascript", body: `import * as sdk from "${url}/sdk/freshet.js"; window.Freshet = sdk;` }],
      ];
    });
    site = await Site.serve(Object.fromEntries(pages));
    browser = await startChromium();
  });
  afterAll(async () => {
    await browser.close();
    await Promise.all([site.close(), whole.close(), alone.close()]);
  });

  test.each([
    ["as a plain script", "/plain0", false, "signs"],
    ["as a module", "/module0", false, "signs"],
    ["as a plain script without Ed25519", "/plain0", true, "signs"],
    ["as a module without Ed25519", "/module0", true, "signs"],
    ["as a plain script alone", "/plain1", false, "signs"],
    ["as a plain script alone without Ed25519", "/plain1", true, "TypeError"],
    ["as a module alone without Ed25519", "/module1", true, "TypeError"],
  ])("%s", async (_, path, isRefused, expected) => {
    const { page } = await openPage(browser, "about:blank");
    const loaded: string[] = [];
    page.on("request", (request) => loaded.push(new URL(request.url()).pathname));
    if (isRefused) await page.addInitScript(refuseEd25519);
    await page.goto(`${site.url}${path}`);
    expect(await page.evaluate(tryIdentity)).toBe(expected);
    expect(loaded.includes("/sdk/freshet-ed25519.js")).toBe(isRefused);
  });
});
