/** The browsers themselves: profiles that are strangers to each other, and nothing left behind. */
import { readdir, readFile } from "node:fs/promises";
import { expect } from "vitest";
import { withBrowsers } from "./browser.ts";
import { browserTest } from "./needs.ts";
import { StaticSite } from "./static_site.ts";

browserTest("two profiles of one browser are two WebRTC peers", async () => {
  const site = await StaticSite.start({ documents: { "/empty.html": "<!doctype html><link rel=icon href=data:,>" } });
  const seen = await withBrowsers({}, async (browsers) => {
    const [offerer, answerer] = await Promise.all([1, 2].map(() => browsers.open(`${site.url}/empty.html`)));
    if (!offerer || !answerer) throw new Error("two pages were opened");
    const offer = await offerer.page.evaluate(async () => {
      const peer = new RTCPeerConnection();
      const channel = peer.createDataChannel("lab");
      const got = new Promise<number>((resolve) => {
        channel.addEventListener("message", ({ data }) => resolve((data as ArrayBuffer).byteLength));
      });
      channel.binaryType = "arraybuffer";
      Object.assign(window, { peer, got });
      await peer.setLocalDescription();
      await new Promise((resolve) => {
        peer.addEventListener("icecandidate", ({ candidate }) => candidate ?? resolve(undefined));
      });
      localStorage.setItem("mine", "1");
      return peer.localDescription?.sdp ?? "";
    });
    const answer = await answerer.page.evaluate(async (sdp) => {
      const peer = new RTCPeerConnection();
      Object.assign(window, { peer });
      peer.addEventListener("datachannel", ({ channel }) => {
        const send = () => channel.send(new Uint8Array(60_000));
        if (channel.readyState === "open") send();
        else channel.addEventListener("open", send);
      });
      await peer.setRemoteDescription({ type: "offer", sdp });
      await peer.setLocalDescription();
      await new Promise((resolve) => {
        peer.addEventListener("icecandidate", ({ candidate }) => candidate ?? resolve(undefined));
      });
      return { sdp: peer.localDescription?.sdp ?? "", stored: localStorage.length };
    }, offer);
    const bytes = await offerer.page.evaluate(async (sdp) => {
      const { peer, got } = window as unknown as { peer: RTCPeerConnection; got: Promise<number> };
      await peer.setRemoteDescription({ type: "answer", sdp });
      return got;
    }, answer.sdp);
    return { offer, answer, bytes };
  });
  await site.close();
  expect(seen.bytes).toBe(60_000);
  expect(seen.answer.stored).toBe(0);
  expect(fingerprint(seen.offer)).toBeDefined();
  expect(fingerprint(seen.offer)).not.toBe(fingerprint(seen.answer.sdp));
});

browserTest("nothing runs on, also after a failure", async () => {
  let during = 0;
  const failing = withBrowsers({ own_processes: true }, async (browsers) => {
    await Promise.all([browsers.open("about:blank"), browsers.open("about:blank")]);
    during = (await browserProcesses()).length;
    throw new Error("on purpose");
  });
  await expect(failing).rejects.toThrow("on purpose");
  expect(during).toBeGreaterThanOrEqual(2);
  // A browser's helpers end after it, of which nobody is told: on a busy machine some seconds after.
  await expect.poll(browserProcesses, { timeout: 30_000 }).toEqual([]);
});

function fingerprint(sdp: string): string | undefined {
  return /a=fingerprint:(\S+ \S+)/.exec(sdp)?.[1];
}

/** Chromium's processes in the groups that this process started, as "pid state". */
async function browserProcesses(): Promise<readonly string[]> {
  const all = await Promise.all(
    (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map((pid) => readFile(`/proc/${pid}/stat`, "utf8").catch(() => "")),
  );
  // pid (name) state parent group ...
  const processes = all.flatMap((line) => {
    const [, pid, name, state, parent, group] = /^(\d+) \((.*)\) (\S) (\d+) (\d+)/.exec(line) ?? [];
    // A zombie has ended; when its new parent asks for its exit code is not ours.
    return name === "chromium" && state !== "Z" ? [{ pid, state, parent, group }] : [];
  });
  const leaders = processes.filter(({ parent }) => parent === String(process.pid)).map(({ pid }) => pid);
  for (const leader of leaders) started.add(leader);
  return processes.flatMap(({ pid, state, group }) => (started.has(group) ? [`${pid} ${state}`] : []));
}

/** Process groups of browsers seen so far. */
const started = new Set<string | undefined>();
