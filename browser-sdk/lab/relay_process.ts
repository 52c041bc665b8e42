/** The relay's own process; see `relay.ts`. It ends with whoever started it. */
import { createSocket, type RemoteInfo, type Socket as Datagrams } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { DelayLine } from "./delay_line.ts";
import { type RelayCounts, type RelayOptions } from "./relay.ts";
import { beUrgent } from "./urgent.ts";

const HOST = "127.0.0.1";
const QUEUE_MS = 1_000;
/** Clients of UDP at the same time; the one that was first leaves for another. */
const CLIENTS_MAX = 256;
/** Of a stream, on the line at most; enough for 200 Mbit/s and 150 ms. */
const STREAM_BYTES_MAX = 4 * 1024 * 1024;
/** Buffers for the bursts that senders hand over at once. */
const SOCKET = { type: "udp4", recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 } as const;

beUrgent();
const options = JSON.parse(process.argv[2] ?? "{}") as RelayOptions;
const { to_port, rtt_ms, rate_bytes_per_s, queue_ms = QUEUE_MS } = options;
const lineOptions = {
  delay_ms: rtt_ms / 2,
  queue_ms,
  ...(rate_bytes_per_s === undefined ? {} : { rate_bytes_per_s }),
};
const up = new DelayLine(lineOptions);
const down = new DelayLine(lineOptions);
const stream_bytes_max = Math.min(STREAM_BYTES_MAX, ((rate_bytes_per_s ?? Number.POSITIVE_INFINITY) * queue_ms) / 1_000);
let datagrams = 0;

const tcp = createServer({ allowHalfOpen: true, pauseOnConnect: true }, relayStream);
tcp.listen(0, HOST);
await once(tcp, "listening");
const { port } = tcp.address() as AddressInfo;
const front = await bound(port);
const clients = new Map<number, Datagrams>();
const udp_ports = new Set([port]);
front.on("message", relayDatagram);

process.on("message", () => process.send?.(counts()));
process.on("disconnect", () => process.exit());
process.send?.(port);

async function bound(at_port: number): Promise<Datagrams> {
  const socket = createSocket(SOCKET);
  socket.bind(at_port, HOST);
  await once(socket, "listening");
  return socket;
}

function relayDatagram(bytes: Buffer, { port: from_port }: RemoteInfo): void {
  datagrams += 1;
  const back = clients.get(from_port) ?? socketFor(from_port);
  up.offer(bytes.length, () => back.send(bytes, to_port, HOST));
}

function socketFor(client_port: number): Datagrams {
  const back = createSocket(SOCKET);
  clients.set(client_port, back);
  const [oldest] = clients;
  if (clients.size > CLIENTS_MAX && oldest) {
    clients.delete(oldest[0]);
    oldest[1].close();
  }
  back.on("message", (answer) => {
    datagrams += 1;
    down.offer(answer.length, () => front.send(answer, client_port, HOST));
  });
  // A server that is not there yet loses datagrams, as on any path.
  back.on("error", () => undefined);
  back.once("listening", () => udp_ports.add(back.address().port));
  back.bind(0, HOST);
  return back;
}

function relayStream(client: Socket): void {
  // The handshake with the relay takes no time: the round trip that it would take passes before the first byte.
  setTimeout(() => {
    const server = connect({ port: to_port, host: HOST, allowHalfOpen: true, noDelay: true });
    client.setNoDelay(true);
    relayBytes(client, server, up);
    relayBytes(server, client, down);
    client.resume();
  }, rtt_ms);
}

/** A stream loses nothing: its sender waits while too much of it is on the line. */
function relayBytes(from: Socket, to: Socket, line: DelayLine): void {
  let onLine_bytes = 0;
  from.on("data", (bytes: Buffer) => {
    onLine_bytes += bytes.length;
    if (onLine_bytes > stream_bytes_max) from.pause();
    line.put(bytes.length, () => {
      onLine_bytes -= bytes.length;
      if (onLine_bytes <= stream_bytes_max) from.resume();
      if (to.writable) to.write(bytes);
    });
  });
  from.on("end", () => line.put(0, () => to.end()));
  from.on("error", () => to.destroy());
  from.on("close", () => line.put(0, () => to.destroySoon()));
}

function counts(): RelayCounts {
  return {
    datagrams,
    dropped_by_queue: up.dropped + down.dropped,
    dropped_by_system: droppedBySystem(),
  };
}

/** What the system dropped at this process's UDP sockets (`drops` in /proc/net/udp). */
function droppedBySystem(): number {
  const lines = readFileSync("/proc/net/udp", "utf8").trim().split("\n").slice(1);
  return lines.reduce((sum, line) => {
    const fields = line.trim().split(/\s+/);
    const local_port = Number.parseInt(fields[1]?.split(":")[1] ?? "", 16);
    return udp_ports.has(local_port) ? sum + Number(fields.at(-1)) : sum;
  }, 0);
}
