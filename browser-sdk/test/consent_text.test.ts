/** Who agreed to a text is asked anew when it says something else. */
import { expect, test } from "vitest";
import { TEXT_VERSION, textVersion } from "../src/consent/caps.ts";
import { textFor } from "../src/consent/text.ts";
import { utf8 } from "../src/protocol/bytes.ts";
import { hashOf } from "../src/protocol/id.ts";

test("the texts are those of their version", async () => {
  const told = ["en", "ko"].map((language) => {
    const { title, points, labels } = textFor(language);
    return [title, points({ capMbit: 1, capGb: 2 }), points({ capMbit: 1 }), labels];
  });
  const hash = await hashOf(utf8(JSON.stringify(told)));
  // Whoever changes a text raises TEXT_VERSION too, and writes both here.
  expect([TEXT_VERSION, hash]).toEqual([1, "b8c001c67752768f928768cf2048c100d009561b642037af34ecb68ecb4dc602"]);
});

test("other caps are another thing to agree to", () => {
  const versions = [{ capMbit: 5 }, { capMbit: 50 }, { capMbit: 5, capGb: 1 }, { capMbit: 5, capGb: 2 }].map(textVersion);
  expect(new Set(versions).size).toBe(versions.length);
});

test.each([
  ["ko", "ko"],
  ["ko-KR", "ko"],
  ["KO-kp", "ko"],
  ["en-US", "en"],
  ["kok", "en"],
  ["", "en"],
])("a browser in %s reads %s", (language, expected) => {
  expect(textFor(language).language).toBe(expected);
});
