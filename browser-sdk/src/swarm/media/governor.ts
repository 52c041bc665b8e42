/**
 * When the origin must help with a segment, and why.
 *
 * Peers come first until the latest moment at which an origin fetch would still make the deadline; where that is past
 * already, as at the start, as long as they bring something. A segment that nobody has or fetches needs a first copy:
 * neighbours take turns by an order that they compute alike, so that one of them begins and the others see it fetching
 * before their turn comes.
 */
import { DEADLINE_MARGIN_US, JOIN_US, LATE_TRY_US_MAX, STALL_US, TRY_US, TURN_US } from "../limits.ts";
import { mix32 } from "../mix.ts";
import type { OriginReason } from "../output.ts";
import { quotient } from "../whole.ts";
import type { Want } from "./timeline.ts";

/** What the governor looks at. */
export interface View {
  readonly now: number;
  /** When this core began. */
  readonly beganUs: number;
  readonly want: Want;
  /** Time that the origin needs for what is missing. */
  readonly needsUs: number;
  readonly hasLinks: boolean;
  /** Whether some peer has something of it, fetches it, or has not said yet what it has. */
  readonly isKnownToPeers: boolean;
  /** How many neighbours come before this peer. */
  readonly turn: number;
}

/** Why the origin should give the segment now, if it should. */
export function demand({ now, beganUs, want, needsUs, hasLinks, isKnownToPeers, turn }: View): OriginReason | undefined {
  const latestUs = Math.max(want.deadlineUs - (needsUs + quotient(needsUs, 2) + DEADLINE_MARGIN_US), 0);
  if (!hasLinks) return now >= beganUs + JOIN_US ? "no-peers" : undefined;
  if (!isKnownToPeers) {
    if (now >= want.sinceUs + turn * TURN_US) return "first-copy";
    return now >= latestUs ? "deadline" : undefined;
  }
  const idleUs = now - want.progressUs;
  const lateUs = Math.max(now - Math.max(latestUs, want.sinceUs), 0);
  if (now >= latestUs && (idleUs >= TRY_US || lateUs >= LATE_TRY_US_MAX)) return "deadline";
  return idleUs >= STALL_US ? "slow-peers" : undefined;
}

/** How many of the neighbours come before this peer in fetching a segment. */
export function turnOf(ownOrder: number, segmentOrder: number, neighbours: readonly number[]): number {
  const own = mix32(ownOrder ^ segmentOrder);
  return neighbours.filter((order) => mix32(order ^ segmentOrder) < own).length;
}
