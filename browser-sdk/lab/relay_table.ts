/** What the relay can do on this machine: `npm run figures -- relay`. */
import { Relay } from "./relay.ts";
import { receiver, send } from "./relay_flow.ts";
import { beUrgent } from "./urgent.ts";

const RTT_MS = 40;
const SECONDS = 5;
const RATES_MBIT_S = [20, 50, 100, 200, 300] as const;

/** A sender that offers all that the line has would keep each queue that a late start makes. */
const OFFERED = 0.9;

/** One line a rate. */
export async function relayTable(write: (line: string) => void): Promise<void> {
  beUrgent();
  write(`relay at ${RTT_MS} ms, offered ${OFFERED} of the line: one way ${RTT_MS / 2} ms are wanted\n`);
  for (const rate of RATES_MBIT_S) {
    const end = await receiver();
    const relay = await Relay.start({ to_port: end.port, rtt_ms: RTT_MS, rate_bytes_per_s: rate * 125_000 });
    try {
      const flow = await end.flow(await send(relay.port, rate * OFFERED, SECONDS));
      const { dropped_by_system } = await relay.counts();
      const { median, p99, max } = flow.delay_ms;
      write(
        `${String(rate).padStart(4)} Mbit/s: ${flow.mbit_s.toFixed(1)} passed, ${flow.sent - flow.received} lost ` +
          `(${dropped_by_system} at the relay's sockets), one way ${median.toFixed(1)} / ${p99.toFixed(1)} / ` +
          `${max.toFixed(1)} ms (median, 99 %, worst), at most ${flow.burst} datagrams in 1 ms\n`,
      );
    } finally {
      await relay.close();
    }
  }
}
