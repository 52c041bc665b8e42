/** What stalls, trickles, waits elsewhere or is late: given up, moved to who would be done sooner, or asked for twice. */
import type { Assign, PeerRequest } from "./assign.ts";
import type { Ledger } from "./ledger.ts";
import { DUPLICATES_PERMILLE, LATE_FACTOR, LATE_US_MIN, TRICKLE_FACTOR, TRICKLE_US_MIN } from "./limits.ts";
import type { Origin } from "./origin.ts";
import type { Say } from "./output.ts";
import { quotient } from "./whole.ts";

/**
 * Gives up what stalls, and doubles what is late while links are idle. Called at each tick. Who reads no faster than
 * `bytesSMax` waits longer for a large chunk.
 */
export function lookAfter(
  now: number,
  bytesSMax: number | undefined,
  assign: Assign,
  ledger: Ledger,
  origin: Origin,
  say: Say,
): void {
  const failing = new Set(assign.links.idsWhere(({ pace }) => pace.isStalled(now)));
  const slow = (patience: number): PeerRequest[] =>
    assign.requests.values().filter(({ askedUs, received, chunk }) => {
      const bytes = ledger.bytes(chunk);
      const ownUs = bytesSMax === undefined ? 0 : quotient(bytes * 2_000_000, Math.max(bytesSMax, 1));
      return now - askedUs >= Math.max(patience, ownUs) && received < quotient(bytes, 2);
    });
  // What the links need is looked up only where somebody waited for the least that counts.
  if (slow(TRICKLE_US_MIN).length > 0) for (const { link } of slow(patienceUs(assign))) failing.add(link);
  for (const link of [...failing].sort((a, b) => a - b)) assign.letDown(now, ledger, link, say);
  if (ledger.free.count === 0) doubleLate(now, assign, ledger, origin, say);
}

/**
 * Makes room for the origin where everything missing is asked for: takes back what it would bring sooner, in
 * `originUs`. Whether there was such a request.
 */
export function takeBackLast(now: number, assign: Assign, ledger: Ledger, originUs: number, say: Say): boolean {
  const waiting = lastWaiting(now, assign, ledger, originUs, () => true);
  if (waiting === undefined) return false;
  assign.cancel(ledger, [waiting.id], say);
  return true;
}

/** How long a request may take before its link counts as trickling: many times what the median link needs. */
function patienceUs(assign: Assign): number {
  const services = assign.links.values().flatMap(({ pace }) => pace.serviceUs ?? []);
  services.sort((a, b) => a - b);
  return Math.max((services[services.length >> 1] ?? 0) * TRICKLE_FACTOR, TRICKLE_US_MIN);
}

/**
 * End game: an idle link is asked for what waits at another one, or for what another link or the origin will bring much
 * later than this one would.
 */
function doubleLate(now: number, assign: Assign, ledger: Ledger, origin: Origin, say: Say): void {
  const idle = assign.links.idsWhere(({ pace }) => pace.outstanding === 0 && pace.hasRoom(now, ledger.meanBytes));
  for (const id of idle) {
    const link = assign.links.get(id);
    if (link === undefined) continue;
    const { has, pace } = link;
    const { expectedUs } = pace;
    const waiting = lastWaiting(now, assign, ledger, expectedUs, (chunk) => has.has(chunk));
    if (waiting !== undefined) {
      assign.cancel(ledger, [waiting.id], say);
      assign.ask(now, ledger, id, waiting.chunk, say);
      continue;
    }
    const lateUs = Math.max(LATE_US_MIN, expectedUs * LATE_FACTOR);
    const late = assign.requests.values().find(({ askedUs, chunk }) => {
      return now - askedUs >= lateUs && has.has(chunk) && ledger.sources(chunk) === 1;
    });
    const chunk = late?.chunk ?? origin.latestOf(ledger, has, Math.max(expectedUs, LATE_US_MIN));
    if (chunk === undefined) continue;
    const bytes = ledger.bytes(chunk);
    if (assign.duplicateBytes + bytes > quotient(ledger.jobBytes * DUPLICATES_PERMILLE, 1000)) return;
    assign.duplicateBytes += bytes;
    assign.ask(now, ledger, id, chunk, say);
  }
}

/**
 * The request made last of those that wait for their turn at a link, and that another source which `holds` the chunk
 * would answer sooner, in `otherUs`.
 */
function lastWaiting(
  now: number,
  assign: Assign,
  ledger: Ledger,
  otherUs: number,
  holds: (chunk: number) => boolean,
): { readonly id: number; readonly chunk: number } | undefined {
  const waits = ({ link, chunk, askedUs, received }: PeerRequest): boolean =>
    received === 0 &&
    ledger.sources(chunk) === 1 &&
    now - askedUs + otherUs < (assign.links.get(link)?.pace.expectedUs ?? 0) &&
    holds(chunk);
  const id = assign.requests.idsWhere(waits).at(-1);
  const chunk = id === undefined ? undefined : assign.requests.get(id)?.chunk;
  return id === undefined || chunk === undefined ? undefined : { id, chunk };
}
