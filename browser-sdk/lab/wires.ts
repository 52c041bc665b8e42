/** How fast a page and a node move chunks over each wire that a browser has, beside plain HTTP on the same path. */
import { existsSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { WireKind } from "../src/transport/wire.ts";
import { withBrowsers, type Browsers, type Tab } from "./browser.ts";
import { Relay, type RelayOptions } from "./relay.ts";
import { binFolders, Servers } from "./servers.ts";
import { StaticSite } from "./static_site.ts";
import type { Moved } from "./wires/page.ts";
import { wirePages } from "./wires/pages.ts";

const RUNS = 3;
const MEGABYTES = 100;
const NODE = "examples/browser_wire";
/** An upload that is not over by then never will be. */
const UP_MS = 120_000;

/** A wire and its path. */
export interface WireScene {
  readonly name: string;
  readonly kind: WireKind;
  /** Without it, loopback. */
  readonly path?: Omit<RelayOptions, "to_port">;
  /** What is promised, in MB/s. */
  readonly down_min: number;
  readonly up_min: number;
}

/** A line of 200 Mbit/s, with the drop-tail buffer that the laboratory's lines have. */
const FAR = { rtt_ms: 40, rate_bytes_per_s: 25_000_000, queue_ms: 100 } as const;

export const WIRES: readonly WireScene[] = [
  { name: "WebTransport", kind: "web-transport", down_min: 80, up_min: 90 },
  { name: "data channel", kind: "web-rtc", down_min: 12, up_min: 20 },
  { name: "data channel, 40 ms", kind: "web-rtc", path: FAR, down_min: 8, up_min: 3 },
];

/** In MB/s, each run. */
export interface WireRates {
  readonly down: number[];
  readonly up: number[];
  readonly plain_down: number[];
  readonly plain_up: number[];
}

/** Links anew for each run, with a browser of its own, and moves everything down and then up. */
export async function measureWire(scene: WireScene): Promise<WireRates> {
  const program = binFolders()
    .map((folder) => join(folder, NODE))
    .find((file) => existsSync(file));
  if (program === undefined) throw new Error(`there is no ${NODE} to run: cargo build --release --example browser_wire`);
  const rates: WireRates = { down: [], up: [], plain_down: [], plain_up: [] };
  for (let run = 0; run < RUNS; run += 1) {
    const servers = new Servers(await mkdtemp(join(tmpdir(), "freshet-lab-wires-")));
    const site = await StaticSite.start({ documents: await wirePages() });
    try {
      const { port } = await servers.start(program, ["--megabytes", String(MEGABYTES)], "node");
      await withBrowsers({}, (browsers) => measureRun(scene, browsers, site, port as number, rates));
    } finally {
      await site.close();
      await servers.close();
    }
  }
  return rates;
}

async function measureRun(
  { kind, path }: WireScene,
  browsers: Browsers,
  site: StaticSite,
  http_port: number,
  rates: WireRates,
): Promise<void> {
  const relays: Relay[] = [];
  /** The port by which the page reaches one of the node. */
  const portTo = async (to_port: number): Promise<number> => {
    if (path === undefined) return to_port;
    const relay = await Relay.start({ ...path, to_port });
    relays.push(relay);
    return relay.port;
  };
  const node = `http://127.0.0.1:${http_port}`;
  const tab = await browsers.open(`${site.url}/lab/wires.html`);
  try {
    const plain = `http://127.0.0.1:${await portTo(http_port)}`;
    const key = await tab.page.evaluate((url) => window.wires.meet(url), node);
    if (kind === "web-rtc") await signals(tab, node, key, portTo);
    await tab.page.evaluate((which) => window.wires.link(which), kind);
    rates.down.push(rate(await tab.page.evaluate(() => window.wires.down())));
    await tab.page.evaluate(() => window.wires.up());
    const uploaded = await fetch(`${node}/uploads/0`, { signal: AbortSignal.timeout(UP_MS) });
    rates.up.push(rate((await uploaded.json()) as Moved));
    await tab.page.evaluate(() => window.wires.close());
    rates.plain_down.push(rate(await tab.page.evaluate((url) => window.wires.plainDown(url), plain)));
    rates.plain_up.push(rate(await tab.page.evaluate((url) => window.wires.plainUp(url), plain)));
    if (tab.problems.length > 0) throw new Error(tab.problems.join("\n"));
  } finally {
    await Promise.all(relays.map((relay) => relay.close()));
    await tab.close();
  }
}

/** Carries what page and node say to each other. The node's port becomes `portTo` of it, and nothing else leads there. */
async function signals(tab: Tab, node: string, key: string, portTo: (port: number) => Promise<number>): Promise<void> {
  const pair = await (await fetch(`${node}/pair/${key}`)).text();
  await tab.page.exposeFunction("wiresSignal", async (data: string) => {
    // Whoever knew the page's port would reach it past the relay.
    if ((JSON.parse(data) as Signal).type === "candidate") return;
    await fetch(`${node}/signal/${pair}`, { method: "POST", body: data });
  });
  void passOn(tab, `${node}/signal/${pair}`, portTo);
}

interface Signal {
  readonly type: string;
  readonly candidate?: string;
}

async function passOn(tab: Tab, url: string, portTo: (port: number) => Promise<number>): Promise<void> {
  for (let number = 0; ; number += 1) {
    const signal = JSON.parse(await (await fetch(`${url}/${number}`)).text()) as Signal;
    if (signal.type === "end") return;
    const words = signal.candidate?.split(" ");
    if (words !== undefined) words[PORT_WORD] = String(await portTo(Number(words[PORT_WORD])));
    const data = JSON.stringify(words === undefined ? signal : { ...signal, candidate: words.join(" ") });
    await tab.page.evaluate((said) => window.wires.heard(said), data);
  }
}

/** Of a `candidate:` attribute (RFC 8839, 5.1): foundation, component, protocol, priority, address, port. */
const PORT_WORD = 5;

function rate({ bytes, seconds }: Moved): number {
  // What is wrong or missing was not moved.
  return bytes < MEGABYTES * 1e6 ? 0 : bytes / 1e6 / seconds;
}
