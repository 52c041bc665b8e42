/** Data channels as a real browser makes them. */
import { type Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasChromium, openPage, pageOf, scriptOf, Site, startChromium, STRICT_POLICY } from "./chromium.ts";

describe.skipIf(!hasChromium)("in a browser", () => {
  let site: Site;
  let browser: Browser;

  beforeAll(async () => {
    const script = await scriptOf("web_rtc_page.ts");
    site = await Site.serve({ "/script.js": script, "/": pageOf(STRICT_POLICY, "/script.js") });
    browser = await startChromium();
  });
  afterAll(async () => {
    await browser.close();
    await site.close();
  });

  test("a channel that opens before its descriptions show waits for them", async () => {
    const { page, faults } = await openPage(browser, site.url);
    const [dialer, acceptor] = await page.evaluate(() => window.connect());
    expect(dialer).toEqual([{ dialer: expect.stringMatching(/^[\da-f]{64}$/), acceptor: expect.stringMatching(/^[\da-f]{64}$/) }]);
    expect(acceptor).toEqual(dialer);
    expect(faults).toEqual([]);
  });
});
