/** The dialog in a real browser, under the strictest policy. */
import { type Browser, type Locator, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasChromium, openPage, pageOf, scriptOf, Site, startChromium, STRICT_POLICY } from "./chromium.ts";

/** Shows the dialog; its answer is `window.pending`, what More shows is in `window.seen`. */
async function shown(page: Page, hasMore = true, focusFirst?: string): Promise<void> {
  await page.evaluate(
    ({ hasMore: more, focusFirst: first }) => {
      window.seen = [];
      if (first !== undefined) document.querySelector<HTMLElement>(first)?.focus();
      const onMore = more ? () => void window.seen.push("more") : undefined;
      window.pending = window.parts.showPrompt({ capMbit: 5, capGb: 1.1, onMore });
    },
    { hasMore, focusFirst },
  );
}

const answer = (page: Page) => page.evaluate(() => window.pending);
const focused = (page: Page) => page.evaluate(() => document.activeElement?.id);
const box = async (locator: Locator) => {
  const found = await locator.boundingBox();
  if (!found) throw new Error("nothing is seen");
  return found;
};

describe.skipIf(!hasChromium)("the dialog", () => {
  let site: Site;
  let browser: Browser;

  beforeAll(async () => {
    const script = await scriptOf("consent_page.ts");
    const body = '<input id="field"><button id="play">Play</button>';
    site = await Site.serve({
      "/script.js": script,
      "/": pageOf(STRICT_POLICY, "/script.js", body),
      "/rtl": pageOf(STRICT_POLICY, "/script.js", body, 'lang="ar" dir="rtl"'),
    });
    browser = await startChromium();
  });
  afterAll(async () => {
    await browser.close();
    await site.close();
  });

  async function opened(path = "/", options: Parameters<typeof openPage>[2] = {}) {
    const { page, faults } = await openPage(browser, `${site.url}${path}`, options);
    return { page, faults, dialog: page.getByRole("dialog") };
  }

  test("the policy of these tests bites", async () => {
    const { page, faults } = await opened();
    const thrown = await page.evaluate(() => {
      document.body.setAttribute("style", "color: red");
      document.body.append(document.createElement("style"));
      try {
        document.body.innerHTML = "<p>";
        return "nothing";
      } catch (error) {
        return (error as Error).name;
      }
    });
    expect(thrown).toBe("TypeError");
    expect(faults.join()).toMatch(/inline style/i);
  });

  test.each([
    ["Allow", "granted"],
    ["Deny", "denied"],
    ["Not now", "later"],
  ])("%s means %s", async (label, expected) => {
    const { page, faults, dialog } = await opened();
    await shown(page);
    await dialog.getByRole("button", { name: label, exact: true }).click();
    expect(await answer(page)).toBe(expected);
    expect(await dialog.count()).toBe(0);
    expect(faults).toEqual([]);
  });

  test("is named and described by its text, with the caps as numbers", async () => {
    const { page, dialog } = await opened();
    await shown(page);
    const accessible = await dialog.ariaSnapshot();
    expect(accessible).toContain('dialog "Share with other viewers?"');
    const described = await dialog.evaluate((element) => element.ariaDescribedByElements?.[0]?.textContent);
    for (const told of ["uploaded from your device", "IP address", "5 Mbit/s, 1.1 GB in all", "stop", "without it"]) {
      expect(described).toContain(told);
    }
  });

  test.each([
    ["ko-KR", "ko", "다른 시청자와 나눌까요?"],
    ["ko", "ko", "다른 시청자와 나눌까요?"],
    ["kok-IN", "en", "Share with other viewers?"],
    ["de-DE", "en", "Share with other viewers?"],
  ])("a browser in %s is asked in %s", async (locale, language, title) => {
    const { page, dialog } = await opened("/", { locale });
    await shown(page);
    expect([await dialog.getAttribute("lang"), await dialog.getByRole("heading").textContent()]).toEqual([language, title]);
  });

  test("takes the focus as a whole, and gives it back", async () => {
    const { page } = await opened();
    await shown(page, true, "#play");
    expect(await focused(page)).toBe("");
    // Keys that are meant for the player agree to nothing.
    await page.keyboard.press("Enter");
    await page.keyboard.press("Space");
    await page.keyboard.press("Escape");
    expect(await answer(page)).toBe("later");
    expect(await focused(page)).toBe("play");
  });

  test("leaves the keyboard to who is typing, also at the end", async () => {
    const { page, dialog } = await opened();
    await shown(page, true, "#field");
    await page.keyboard.type("abc");
    expect(await page.inputValue("#field")).toBe("abc");
    await page.keyboard.press("Escape");
    expect(await dialog.count()).toBe(1);
    await page.evaluate(() => document.querySelector<HTMLElement>("#play")?.focus());
    await dialog.getByRole("button", { name: "Allow", exact: true }).evaluate((button) => (button as HTMLElement).click());
    expect(await focused(page)).toBe("play");
  });

  test("all buttons are reached by keyboard, in order, with a visible ring", async () => {
    const { page, dialog } = await opened();
    await shown(page);
    const order: unknown[] = [];
    for (const _ of Array.from({ length: 4 })) {
      await page.keyboard.press("Tab");
      order.push(
        await dialog.locator(":focus-visible").evaluate((element) => [element.textContent, getComputedStyle(element).outlineStyle]),
      );
    }
    expect(order).toEqual(["More", "Not now", "Deny", "Allow"].map((label) => [label, "auto"]));
    await page.keyboard.press("Enter");
    expect(await answer(page)).toBe("granted");
  });

  test("More shows more, and is no answer", async () => {
    const { page, dialog } = await opened();
    await shown(page);
    await dialog.getByRole("button", { name: "More" }).click();
    expect(await page.evaluate(() => window.seen)).toEqual(["more"]);
    expect(await dialog.count()).toBe(1);
  });

  test("without more there is no such button", async () => {
    const { page, dialog } = await opened();
    await shown(page, false);
    expect(await dialog.getByRole("button").allTextContents()).toEqual(["Not now", "Deny", "Allow"]);
  });

  test.each([false, true])("goes when the question is taken back (before it is seen: %s)", async (isEarly) => {
    const { page, dialog, faults } = await opened();
    const said = page.evaluate(async (early) => {
      const asking = new AbortController();
      if (early) asking.abort();
      const answered = window.parts.showPrompt({ capMbit: 5, signal: asking.signal });
      asking.abort();
      return answered;
    }, isEarly);
    expect(await said).toBe("later");
    expect([await dialog.count(), faults]).toEqual([0, []]);
  });

  test.each([
    ["/", 320, 480],
    ["/", 1280, 720],
    ["/", 320, 200],
    ["/rtl", 1280, 720],
    ["/rtl", 320, 480],
  ])("fits %s at %i by %i", async (path, width, height) => {
    const { page, dialog } = await opened(path, { viewport: { width, height } });
    await shown(page);
    const { x, y, ...size } = await box(dialog);
    const [right, bottom] = [width - x - size.width, height - y - size.height];
    // At the end of the line, whichever side that is.
    expect([path === "/rtl" ? x : right, bottom]).toEqual([16, 16]);
    expect(Math.min(x, right, y)).toBeGreaterThanOrEqual(16);
    expect(await dialog.evaluate((element) => element.scrollWidth <= element.clientWidth)).toBe(true);
    // All answers are as easy to hit, and none is easier than another.
    const sizes = await Promise.all((await dialog.getByRole("button").all()).map(box));
    const seen = sizes.map((button) => [button.width, button.height, button.y].map(Math.round).join(" "));
    expect(seen).toEqual(seen.map(() => seen[0]));
    expect(sizes[0]?.height).toBeGreaterThanOrEqual(44);
  });

  test.each(["light", "dark"] as const)("is readable in %s", async (colorScheme) => {
    const { page, dialog } = await opened("/", { colorScheme });
    await shown(page);
    const [ink, paper] = await dialog.evaluate((element) => {
      const { color, backgroundColor } = getComputedStyle(element);
      return [color, backgroundColor];
    });
    const expected = ["rgb(0, 0, 0)", colorScheme === "light" ? "rgb(255, 255, 255)" : "rgb(18, 18, 18)"];
    if (colorScheme === "dark") expected[0] = "rgb(255, 255, 255)";
    expect([ink, paper]).toEqual(expected);
  });

  test("nothing moves", async () => {
    const { page, dialog } = await opened();
    await shown(page);
    expect(await dialog.evaluate((element) => element.getAnimations({ subtree: true }).length)).toBe(0);
  });

  test("stays when the page replaces its body", async () => {
    const { page, dialog } = await opened();
    await shown(page);
    await page.evaluate(() => document.body.replaceChildren());
    expect(await dialog.count()).toBe(1);
  });
});
