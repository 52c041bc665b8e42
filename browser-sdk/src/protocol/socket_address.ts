/** Socket addresses as text, `192.0.2.7:4433` or `[2001:db8::7]:4433`, in the one form that Rust's `SocketAddr` prints. */
import { ProtocolError } from "./error.ts";
import type { Branded } from "./id.ts";

/** A text that is no socket address. */
export class AddressError extends ProtocolError<"address"> {
  constructor() {
    super("socket address", "address");
  }
}

/** An IP address and a port. */
export type SocketAddress = Branded<string, "SocketAddress">;

const PORT_MAX = 0xffff;
const SCOPE_MAX = 0xffff_ffff;
/** URLs take IPv4 addresses in further forms, and print IPv6 addresses as RFC 5952 says, but for those that hold an IPv4. */
const ADDRESS = /^(?:(\[[\da-fA-F:.]+)(?:%(\d+))?\]|((?:(?:0|[1-9]\d*)\.){3}(?:0|[1-9]\d*))):(\d+)$/;
const MAPPED = /^\[::ffff:([\da-f]+):([\da-f]+)\]$/;

/** Reads a socket address into its one form. Throws {@link AddressError}. */
export function parseSocketAddress(text: string): SocketAddress {
  const [, v6, scope = 0, v4, port = PORT_MAX + 1] = ADDRESS.exec(text) ?? [];
  try {
    if (Number(port) > PORT_MAX || Number(scope) > SCOPE_MAX) throw new AddressError();
    const { hostname } = new URL(`http://${v4 ?? `${v6}]`}`);
    const host = hostname.replace(MAPPED, (_, high: string, low: string) => `[::ffff:${octets(high)}.${octets(low)}]`);
    const zone = Number(scope) === 0 ? "" : `%${Number(scope)}`;
    return `${host.replace("]", `${zone}]`)}:${Number(port)}` as SocketAddress;
  } catch {
    throw new AddressError();
  }
}

/** Two octets of the group that holds them. */
function octets(group: string): string {
  const value = Number.parseInt(group, 16);
  return `${value >> 8}.${value & 255}`;
}
