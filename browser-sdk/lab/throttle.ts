/** The line of one viewer. */
import { type Tab } from "./browser.ts";
import { type Line } from "./static_site.ts";

/** Gives a page a line of its own, both ways, for as long as it is open. Chromium holds WebRTC to it too. */
export async function throttle({ page }: Tab, { rate_bytes_per_s = -1, latency_ms = 0 }: Line): Promise<void> {
  // The session stays: with its end, the line would.
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  await session.send("Network.emulateNetworkConditions", {
    offline: false,
    latency: latency_ms,
    downloadThroughput: rate_bytes_per_s,
    uploadThroughput: rate_bytes_per_s,
  });
}
