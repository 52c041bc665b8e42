/** Which of several trackers a page is with. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createIdentity } from "../src/identity.ts";
import { TrackerClient } from "../src/tracker/client.ts";

/** The page's end of a WebSocket; the test is the tracker's. */
class Socket {
  static opened: Socket[] = [];
  readonly url: string;
  onmessage: ((event: { data: unknown }) => void) | undefined;
  onclose: (() => void) | undefined;
  isClosed = false;

  constructor(url: string) {
    this.url = url;
    Socket.opened.push(this);
  }

  send(): void {}

  close(): void {
    this.isClosed = true;
  }
}

const URLS = ["wss://one.example/", "wss://two.example/", "wss://three.example/"];

beforeEach(() => {
  Socket.opened = [];
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", Socket);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function client(): Promise<TrackerClient> {
  return new TrackerClient([...URLS], await createIdentity(), undefined, { welcome: () => undefined, message: () => undefined });
}

const last = (): Socket => Socket.opened.at(-1) as Socket;

test("the next tracker is tried where one fails", async () => {
  const tracker = await client();
  for (const url of [...URLS, ...URLS]) {
    expect(last().url).toBe(url);
    expect(tracker.url).toBe(url);
    last().onclose?.();
    vi.advanceTimersByTime(60_000);
  }
});

test("waits are anything up to a bound that doubles", async () => {
  const random = vi.spyOn(Math, "random");
  const tracker = await client();
  for (const [share, waitMs] of [[0, 0], [0.5, 500], [0.25, 500], [0.99, 3960]] as const) {
    random.mockReturnValue(share);
    const opened = Socket.opened.length;
    last().onclose?.();
    vi.advanceTimersByTime(Math.max(waitMs - 1, 0));
    expect(Socket.opened.length).toBe(waitMs > 0 ? opened : opened + 1);
    vi.advanceTimersByTime(1);
    expect(Socket.opened.length).toBe(opened + 1);
  }
  tracker.close();
});

test("a tracker that drains is left for the next, within the time that it names", async () => {
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  await client();
  const first = last();
  first.onmessage?.({ data: JSON.stringify({ type: "drain", reconnect_ms: 10_000 }) });
  expect(first.isClosed).toBe(true);
  vi.advanceTimersByTime(4999);
  expect(last()).toBe(first);
  vi.advanceTimersByTime(1);
  expect(last().url).toBe(URLS[1]);
});

test("what is no message is borne a few times, and nothing opens after the end", async () => {
  const tracker = await client();
  const socket = last();
  for (const data of ["{", new Blob(), "[]", "{", "{", "{", "{", "{"]) socket.onmessage?.({ data });
  await vi.runAllTimersAsync();
  expect(socket.isClosed).toBe(false);
  socket.onmessage?.({ data: "{" });
  await vi.runAllTimersAsync();
  expect(socket.isClosed).toBe(true);
  tracker.close();
  socket.onclose?.();
  vi.advanceTimersByTime(600_000);
  expect(Socket.opened.length).toBe(1);
});
