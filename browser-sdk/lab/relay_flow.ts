/** What a path carries: a steady flow of datagrams through it, each with the time of its sending. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { setImmediate as breath } from "node:timers/promises";

export interface Flow {
  /** At the receiver, from its first datagram to its last. */
  readonly mbit_s: number;
  readonly sent: number;
  readonly received: number;
  readonly reordered: number;
  /** One way. */
  readonly delay_ms: { readonly median: number; readonly p99: number; readonly max: number };
  /** The most that came within one millisecond, in datagrams. */
  readonly burst: number;
}

/** As QUIC sends on loopback. */
const DATAGRAM_BYTES = 1_250;
/** Where datagrams are missing, the receiver waits for more so long. */
const SILENCE_MS = 1_000;

export interface Receiver {
  readonly port: number;
  /** The flow as it came, once all that was sent is there or nothing more comes. */
  flow(sent: number): Promise<Flow>;
}

/** A receiver on a port of its own. */
export async function receiver(): Promise<Receiver> {
  const socket = createSocket({ type: "udp4", recvBufferSize: 4 << 20 });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const arrived_ms: number[] = [];
  const delays_ms: number[] = [];
  let [last, reordered] = [-1, 0];
  const complete = new AbortController();
  let expected = Number.POSITIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  socket.on("message", (bytes) => {
    const now = performance.now();
    arrived_ms.push(now);
    delays_ms.push(now - bytes.readDoubleLE(8));
    const number = bytes.readDoubleLE(0);
    if (number < last) reordered += 1;
    last = Math.max(last, number);
    if (arrived_ms.length >= expected) complete.abort();
    if (timer) timer.refresh();
    else timer = setTimeout(() => complete.abort(), SILENCE_MS);
  });
  return {
    port: socket.address().port,
    async flow(sent) {
      expected = sent;
      if (arrived_ms.length < sent && !complete.signal.aborted) await once(complete.signal, "abort");
      clearTimeout(timer);
      socket.close();
      const took_ms = (arrived_ms.at(-1) ?? 0) - (arrived_ms[0] ?? 0);
      const sorted = delays_ms.sort((a, b) => a - b);
      const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
      return {
        mbit_s: ((arrived_ms.length - 1) * DATAGRAM_BYTES * 8) / 1_000 / took_ms,
        sent,
        received: arrived_ms.length,
        reordered,
        delay_ms: { median: at(0.5), p99: at(0.99), max: at(1) },
        burst: mostWithin(arrived_ms, 1),
      };
    },
  };
}

/** Sends at this rate for so long. Returns how many datagrams. */
export async function send(to_port: number, rate_mbit_s: number, seconds: number): Promise<number> {
  const socket = createSocket({ type: "udp4", sendBufferSize: 4 << 20 });
  const perMs = (rate_mbit_s * 125) / DATAGRAM_BYTES;
  const total = Math.floor(perMs * seconds * 1_000);
  const begun = performance.now();
  for (let sent = 0; sent < total; ) {
    const due = Math.min(total, Math.floor((performance.now() - begun) * perMs));
    for (; sent < due; sent += 1) {
      const bytes = Buffer.alloc(DATAGRAM_BYTES);
      bytes.writeDoubleLE(sent, 0);
      bytes.writeDoubleLE(performance.now(), 8);
      socket.send(bytes, to_port, "127.0.0.1", sent === total - 1 ? () => socket.close() : undefined);
    }
    await breath();
  }
  return total;
}

function mostWithin(times_ms: readonly number[], span_ms: number): number {
  let [first, most] = [0, 0];
  for (const [i, time] of times_ms.entries()) {
    while (time - (times_ms[first] ?? time) > span_ms) first += 1;
    most = Math.max(most, i - first + 1);
  }
  return most;
}
