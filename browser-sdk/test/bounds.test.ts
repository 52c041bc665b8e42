/** What a tracker or a site can make a page remember has an end. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { nowUs } from "../src/clock.ts";
import { createIdentity } from "../src/identity.ts";
import { Network, type Member } from "../src/network.ts";
import type { KeyId } from "../src/protocol/id.ts";
import { PAGE_SEQUENCES } from "../src/protocol/limits.ts";
import { Entries } from "../src/stream/entries.ts";

const PAIRINGS_MAX = 64;
const BANNED_MAX = 1024;
const PAGES_MAX = 256;
const CONTENT = "studio/films";

/** The page's end of a WebSocket; the test is the tracker's. */
class Socket {
  static last: Socket;
  readonly sent: Record<string, unknown>[] = [];
  onmessage: ((event: { data: string }) => void) | undefined;

  constructor() {
    Socket.last = this;
  }

  send(data: string): void {
    this.sent.push(JSON.parse(data) as Record<string, unknown>);
  }

  close(): void {
    this.onmessage = undefined;
  }

  async says(message: object): Promise<void> {
    this.onmessage?.({ data: JSON.stringify(message) });
    await Promise.resolve();
  }

  /** Numbers of the pairs that the page would not have. */
  refused(): unknown[] {
    return this.sent.flatMap(({ type, pair, outcome }) => (type === "paired" && outcome === "failed" ? [pair] : []));
  }
}

async function connected(): Promise<{ network: Network; socket: Socket }> {
  const global = globalThis as { WebSocket: unknown };
  const { WebSocket: before } = global;
  global.WebSocket = Socket;
  const nothing = { isSharing: () => true, linked: () => undefined, trouble: () => undefined };
  const identity = await createIdentity();
  const network = new Network(["wss://tracker.example/"], identity, undefined, nothing);
  onTestFinished(() => {
    network.close();
    global.WebSocket = before;
  });
  const member = { session: { links: [] }, release: undefined, trackers: [], onEntry: () => undefined };
  network.join(CONTENT as never, member as unknown as Member);
  const socket = Socket.last;
  const welcome = { version: 1, peer: 1, tracker_key: identity.key.public, address: "127.0.0.1:9", stun_ports: [] };
  await socket.says({ type: "welcome", ...welcome, announce_ms: 60_000 });
  return { network, socket };
}

const keyOf = (number: number): KeyId => number.toString(16).padStart(64, "0") as KeyId;

/** The other side dials, so the page only waits for its offer. */
const pairOf = (pair: number) => ({
  type: "pair",
  pair,
  content: CONTENT,
  peer: 2,
  key: keyOf(pair),
  candidates: [],
  dial: false,
  locality: "any",
  random: false,
});

test("a page waits for so many pairs, and refuses more", async () => {
  const { socket } = await connected();
  for (let pair = 1; pair <= PAIRINGS_MAX; pair += 1) await socket.says(pairOf(pair));
  expect(socket.refused()).toEqual([]);
  await socket.says(pairOf(PAIRINGS_MAX + 1));
  expect(socket.refused()).toEqual([PAIRINGS_MAX + 1]);
});

test("a page refuses whom it banned, and remembers so many", async () => {
  const { network, socket } = await connected();
  for (let banned = 1; banned <= BANNED_MAX + 1; banned += 1) network.ban(keyOf(banned));
  for (const pair of [1, BANNED_MAX, BANNED_MAX + 1]) await socket.says(pairOf(pair));
  expect(socket.refused()).toEqual([1, BANNED_MAX]);
});

test("pages of entries that could not be had are forgotten in the end", async () => {
  let requests = 0;
  const server = createServer((_, response) => {
    requests += 1;
    response.writeHead(404).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${CONTENT}/`;
  const entries = new Entries(CONTENT as never, base, [], new AbortController().signal);
  const look = (page: number) => entries.find("low.m3u8", page * PAGE_SEQUENCES, nowUs() + 5_000_000);
  for (let page = 0; page <= PAGES_MAX; page += 1) expect(await look(page)).toBeUndefined();
  expect(requests).toBe(PAGES_MAX + 1);
  await look(PAGES_MAX);
  await look(1);
  expect(requests).toBe(PAGES_MAX + 1);
  await look(0);
  expect(requests).toBe(PAGES_MAX + 2);
});
