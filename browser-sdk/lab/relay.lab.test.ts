/** The relay keeps its round trip and its rate, and loses nothing. */
import { createServer, connect, type AddressInfo } from "node:net";
import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
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

test("a line passes its rate, and drops what its queue cannot hold", async () => {
  const end = await receiver();
  const path = await relay({ to_port: end.port, rtt_ms: 40, rate_bytes_per_s: 1_250_000, queue_ms: 100 });
  const flow = await end.flow(await send(path.port, 20, 1));
  expect(flow.mbit_s).toBeGreaterThan(9.5);
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
