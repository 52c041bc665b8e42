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
const GROUPS = 8;

/** Reads a socket address into its one form. Throws {@link AddressError}. */
export function parseSocketAddress(text: string): SocketAddress {
  const found = /^(?:\[([0-9a-fA-F:.]+)(?:%(\d+))?\]|([\d.]+)):(\d+)$/.exec(text);
  if (!found) throw new AddressError();
  const [, v6, scope = "0", v4 = "", port = ""] = found;
  const zone = bounded(scope, SCOPE_MAX) === 0 ? "" : `%${bounded(scope, SCOPE_MAX)}`;
  const host = v6 === undefined ? octetsOf(v4).join(".") : `[${v6Text(groupsOf(v6))}${zone}]`;
  return `${host}:${bounded(port, PORT_MAX)}` as SocketAddress;
}

function bounded(digits: string, max: number): number {
  const value = Number(digits);
  if (value > max) throw new AddressError();
  return value;
}

function octetsOf(text: string): readonly number[] {
  const parts = text.split(".");
  const isGood = parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
  if (!isGood) throw new AddressError();
  return parts.map(Number);
}

/** The eight groups of an IPv6 address; `::` stands for at least one group of zeros. */
function groupsOf(text: string): readonly number[] {
  const halves = text.split("::");
  const [head = "", tail] = halves;
  if (tail === undefined) {
    const groups = listOf(head, true);
    if (groups.length !== GROUPS) throw new AddressError();
    return groups;
  }
  const [front, back] = [head === "" ? [] : listOf(head, false), tail === "" ? [] : listOf(tail, true)];
  const zeros = GROUPS - front.length - back.length;
  if (halves.length > 2 || zeros < 1) throw new AddressError();
  return [...front, ...Array.from({ length: zeros }, () => 0), ...back];
}

/** Groups between colons; the last may be a whole IPv4 address where `mayEndInV4`. */
function listOf(text: string, mayEndInV4: boolean): readonly number[] {
  const parts = text.split(":");
  return parts.flatMap((part, at) => {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) return [Number.parseInt(part, 16)];
    if (!mayEndInV4 || at !== parts.length - 1) throw new AddressError();
    const [a = 0, b = 0, c = 0, d = 0] = octetsOf(part);
    return [a * 256 + b, c * 256 + d];
  });
}

/** RFC 5952: lowercase, the longest run of at least two zero groups (the first of equals) as `::`. */
function v6Text(groups: readonly number[]): string {
  const [high = 0, low = 0] = groups.slice(6);
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
  }
  const { start, length } = longestZeros(groups);
  if (length < 2) return hexGroups(groups);
  return `${hexGroups(groups.slice(0, start))}::${hexGroups(groups.slice(start + length))}`;
}

function hexGroups(groups: readonly number[]): string {
  return groups.map((group) => group.toString(16)).join(":");
}

function longestZeros(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let longest = { start: 0, length: 0 };
  let start = 0;
  for (const [at, group] of groups.entries()) {
    if (group !== 0) start = at + 1;
    else if (at + 1 - start > longest.length) longest = { start, length: at + 1 - start };
  }
  return longest;
}
