/** What a real browser remembers and senses. */
import { type Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasChromium, openPage, pageOf, scriptOf, Site, startChromium, STRICT_POLICY } from "./chromium.ts";

describe.skipIf(!hasChromium)("in a browser", () => {
  let site: Site;
  let browser: Browser;

  beforeAll(async () => {
    site = await Site.serve({
      "/script.js": await scriptOf("consent_page.ts"),
      "/": pageOf(STRICT_POLICY, "/script.js"),
      // Of no origin, so without a storage.
      "/sandbox": pageOf(`sandbox allow-scripts; default-src 'none'; script-src http:`, "/script.js"),
    });
    browser = await startChromium();
  });
  afterAll(async () => {
    await browser.close();
    await site.close();
  });

  test("an answer outlives the page", async () => {
    const { page } = await openPage(browser, site.url);
    const answer = (state: "granted" | undefined) =>
      page.evaluate((said) => {
        const consent = window.parts.consent();
        if (said) consent.set(said);
        return [consent.state, localStorage.getItem("freshet-consent")?.replace(/\d{13}/, "0")];
      }, state);
    const expected = ["granted", '{"state":"granted","text":"1","time":0}'];
    expect(await answer("granted")).toEqual(expected);
    await page.reload();
    expect(await answer(undefined)).toEqual(expected);
  });

  test("an answer in one tab is heard in another, until the end", async () => {
    const { page } = await openPage(browser, site.url);
    await page.evaluate(() => {
      const consent = window.parts.consent();
      window.pending = new Promise((resolve) => {
        consent.on("change", (state) => {
          consent.close();
          resolve(state);
        });
      });
    });
    const other = await page.context().newPage();
    await other.goto(site.url);
    await other.evaluate(() => {
      window.parts.consent().set("denied");
    });
    expect(await page.evaluate(() => window.pending)).toBe("denied");
  });

  test("without a storage it is remembered while the page is open", async () => {
    const { page, faults } = await openPage(browser, `${site.url}/sandbox`);
    const states = await page.evaluate(() => {
      const consent = window.parts.consent();
      const before = consent.state;
      consent.set("granted");
      let storage = "there";
      try {
        localStorage.getItem("");
      } catch {
        storage = "forbidden";
      }
      return [storage, before, consent.state];
    });
    expect([states, faults]).toEqual([["forbidden", "ask", "granted"], []]);
  });

  test("senses a desktop", async () => {
    const { page } = await openPage(browser, site.url);
    const { battery, network, ...sensed } = await page.evaluate(() => window.parts.pageSurroundings().read());
    expect(sensed).toEqual({ saveData: false, isMobile: false, isHidden: false, isSupported: true });
    // What is told of these depends on the machine.
    expect([typeof battery, typeof network]).toEqual([expect.stringMatching(/number|undefined/), expect.any(String)]);
  });

  test("senses a phone", async () => {
    const userAgent = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/141.0.0.0 Mobile Safari/537.36";
    const { page } = await openPage(browser, site.url, { userAgent });
    expect(await page.evaluate(() => window.parts.pageSurroundings().read().isMobile)).toBe(true);
  });

  test("senses that data is to be saved", async () => {
    const { page } = await openPage(browser, site.url);
    const devtools = await page.context().newCDPSession(page);
    await devtools.send("Emulation.setDataSaverOverride", { dataSaverEnabled: true });
    expect(await page.evaluate(() => window.parts.pageSurroundings().read().saveData)).toBe(true);
  });

  test("hears that the tab is hidden, until the end", async () => {
    const { page } = await openPage(browser, site.url);
    const seen = await page.evaluate(async () => {
      // The battery may report once by itself; its answer is awaited first.
      const surroundings = window.parts.pageSurroundings();
      const log: boolean[] = [];
      const battery = new Promise<void>((resolve) => {
        const unwatch = surroundings.watch(() => {
          unwatch();
          resolve();
        });
      });
      await battery;
      const unwatch = surroundings.watch(() => log.push(surroundings.read().isHidden));
      for (const hidden of [true, false, true]) {
        if (log.length === 2) unwatch();
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      }
      return log;
    });
    expect(seen).toEqual([true, false]);
  });

  test("senses a battery that feeds the device", async () => {
    const { page } = await openPage(browser, site.url);
    const seen = await page.evaluate(async () => {
      const battery = Object.assign(new EventTarget(), { level: 0.15, charging: false });
      Object.assign(navigator, { getBattery: () => Promise.resolve(battery) });
      const surroundings = window.parts.pageSurroundings();
      const log: unknown[] = [surroundings.read().battery];
      await new Promise<void>((resolve) => {
        const unwatch = surroundings.watch(() => {
          log.push(surroundings.read().battery);
          if (log.length === 2) {
            battery.charging = true;
            battery.dispatchEvent(new Event("chargingchange"));
          } else {
            unwatch();
            resolve();
          }
        });
      });
      battery.charging = false;
      battery.dispatchEvent(new Event("levelchange"));
      return log.map(String);
    });
    expect(seen).toEqual(["undefined", "0.15", "undefined"]);
  });
});
