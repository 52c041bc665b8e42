/**
 * Which piece to ask which peer for: the most urgent segment first, and within it in an order of this peer's own, so that
 * those who watch together fetch different pieces and then exchange them.
 */
import { PICK_CANDIDATES_MAX } from "../limits.ts";
import { mix32 } from "../mix.ts";
import type { Say } from "../output.ts";
import type { Sources } from "./sources.ts";
import { isFree, type Piece, type Timeline } from "./timeline.ts";

/** Asks for every free piece that a link with room has; looks at a bounded number of pieces. */
export function fill(now: number, salt: number, timeline: Timeline, sources: Sources, say: Say): void {
  let looks = PICK_CANDIDATES_MAX;
  for (const segment of timeline.wanted()) {
    const free = timeline.positions(segment).filter((chunk) => isFree(timeline.piece(chunk) as Piece));
    const order = (chunk: number): number => mix32(chunk ^ salt);
    for (const chunk of free.sort((a, b) => order(a) - order(b))) {
      if (looks === 0) return;
      looks -= 1;
      const link = soonest(now, sources, chunk, timeline.bytes(chunk));
      if (link !== undefined) sources.ask(now, timeline, link, chunk, say);
    }
  }
}

/** The link that would bring a piece first, of those that have it and room for a request. */
function soonest(now: number, { links }: Sources, chunk: number, bytes: number): number | undefined {
  let best: { readonly id: number; readonly afterUs: number; readonly distance: number } | undefined;
  for (const id of links.idsWhere(({ has, pace }) => has.has(chunk) && pace.hasRoom(now, bytes))) {
    const pace = links.get(id)?.pace;
    if (pace === undefined) continue;
    const { distance } = pace;
    const afterUs = pace.expectedAfterUs(bytes);
    const isSooner =
      best === undefined || afterUs < best.afterUs || (afterUs === best.afterUs && distance < best.distance);
    if (isSooner) best = { id, afterUs, distance };
  }
  return best?.id;
}
