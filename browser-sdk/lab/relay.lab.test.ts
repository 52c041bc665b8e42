/** The relay keeps its round trip and its rate, and loses nothing. */
import { createServer, connect, type AddressInfo } from "node:net";
import { once } from "node:events";
import { expect, onTestFinished, test, vi } from "vitest";
import { DelayLine } from "./delay_line.ts";
import { Relay, type RelayOptions } from "./relay.ts";
import { receiver, send } from "./relay_flow.ts";

async function relay(options: RelayOptions): Promise<Relay> {
  const started = await Relay.start(options);
  onTestFinished(() => started.close());
  return started;
}

test("datagrams come after half the round trip, in order, all of them", async () => {
  const end = await receiver();
  const path = await relay({ to_port: end.port, rtt_ms: 40 });
  const flow = await end.flow(await send(path.port, 20, 1));
  expect(flow).toMatchObject({ sent: 2_000, received: 2_000, reordered: 0 });
  expect(flow.delay_ms.median).toBeGreaterThanOrEqual(20);
  expect(flow.delay_ms.median).toBeLessThan(35);
  expect(await path.counts()).toMatchObject({ dropped_by_queue: 0, dropped_by_system: 0 });
});

test.each([0, 20])("a line passes its rate, though nothing runs for %i ms of every 200", (asleep_ms) => {
  vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const awake = globalThis.setTimeout;
  vi.stubGlobal("setTimeout", (fire: () => void, wait_ms: number) => {
    const into_ms = (performance.now() + wait_ms) % 200;
    return awake(fire, wait_ms + Math.max(0, asleep_ms - into_ms));
  });
  onTestFinished(() => void vi.unstubAllGlobals());
  const line = new DelayLine({ delay_ms: 20, rate_bytes_per_s: 1_250_000, queue_ms: 100 });
  const out_ms: number[] = [];
  for (let ms = 0; ms < 1_000; ms += 1) {
    for (let i = 0; i < 2; i += 1) line.offer(1_250, () => out_ms.push(performance.now()));
    vi.advanceTimersByTime(1);
  }
  vi.advanceTimersByTime(200);
  expect(out_ms.length + line.dropped).toBe(2_000);
  const took_ms = (out_ms.at(-1) ?? 0) - (out_ms[0] ?? 0);
  expect((out_ms.length / took_ms) * 10).toBeGreaterThan(9.5);
  expect((out_ms.length / took_ms) * 10).toBeLessThan(10.5);
});

test("a line drops what its queue cannot hold, and never passes more than its rate", async () => {
  const end = await receiver();
  const path = await relay({ to_port: end.port, rtt_ms: 40, rate_bytes_per_s: 1_250_000, queue_ms: 100 });
  const flow = await end.flow(await send(path.port, 20, 1));
  expect(flow.mbit_s).toBeLessThan(10.5);
  expect(flow.delay_ms.max).toBeGreaterThan(118);
  const { dropped_by_queue } = await path.counts();
  expect(dropped_by_queue).toBe(flow.sent - flow.received);
  expect(dropped_by_queue).toBeGreaterThan(800);
});

test("a stream has the round trip, the rate, and every byte", async () => {
  const echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  echo.listen(0, "127.0.0.1");
  await once(echo, "listening");
  onTestFinished(() => void echo.close());
  const { port } = echo.address() as AddressInfo;
  const path = await relay({ to_port: port, rtt_ms: 40, rate_bytes_per_s: 2_500_000 });
  const sent = Buffer.from(Uint8Array.from({ length: 1_000_000 }, (_, i) => (i * 31) % 251));
  const begun = performance.now();
  const client = connect({ port: path.port, host: "127.0.0.1", allowHalfOpen: true });
  client.end(sent);
  let first_ms = 0;
  const got: Buffer[] = [];
  for await (const bytes of client) {
    first_ms ||= performance.now() - begun;
    got.push(bytes as Buffer);
  }
  // A round trip for the handshake, one for the first byte; 400 ms for a megabyte at 20 Mbit/s.
  expect(first_ms).toBeGreaterThanOrEqual(80);
  expect(performance.now() - begun).toBeGreaterThan(470);
  expect(performance.now() - begun).toBeLessThan(1_500);
  expect(Buffer.concat(got).equals(sent)).toBe(true);
});
