/** Talking with the tracker about first copies: which shards are wanted, and which are held whole. */
import { SHARDS_PER_MESSAGE_MAX } from "../protocol/limits.ts";
import type { Tracker } from "./governor.ts";
import type { Ledger } from "./ledger.ts";
import { ASK_AGAIN_US, REPORT_US } from "./limits.ts";
import type { Origin } from "./origin.ts";
import type { Say } from "./output.ts";
import type { Policy } from "./policy.ts";

export class ShardAsk {
  /** A question is out. */
  #isAsked = false;
  /** No question before this time: the tracker had nothing to give. */
  #againUs = 0;
  /** Last time that anything was said. */
  #saidUs = 0;

  answered(now: number, isEmpty: boolean): void {
    // Reports are answered too, with nothing: only the answer to a question says that there is none to give.
    if (!isEmpty) this.#againUs = now;
    else if (this.#isAsked) this.#againUs = now + ASK_AGAIN_US;
    this.#isAsked = false;
  }

  trackerDown(): void {
    this.#isAsked = false;
    this.#againUs = 0;
  }

  /** When shards held whole must be reported; never by who does not share, and so has nothing to say. */
  reportTimeout(ledger: Ledger, tracker: Tracker, policy: Policy): number | undefined {
    const isTold = tracker === "up" && policy.p2p && policy.sharing;
    return isTold && ledger.hasShardsDone ? this.#saidUs + REPORT_US : undefined;
  }

  /** Asks in time, so that the origin is never idle for want of a grant, and reports what is held. */
  ask(now: number, tracker: Tracker, policy: Policy, ledger: Ledger, origin: Origin, say: Say): void {
    if (tracker !== "up" || !policy.sharing) return;
    const want = this.#want(now, ledger, origin);
    const reportUs = this.reportTimeout(ledger, tracker, policy);
    if (want === 0 && (reportUs === undefined || now < reportUs)) return;
    this.#isAsked ||= want > 0;
    this.#saidUs = now;
    say({ output: "ask-shards", want, done: ledger.takeShardsDone(SHARDS_PER_MESSAGE_MAX) });
  }

  /** Enough for twice what should be in flight. */
  #want(now: number, ledger: Ledger, origin: Origin): number {
    if (this.#isAsked || now < this.#againUs || ledger.free.count === 0) return 0;
    const wanted = origin.flightWanted("leased") * 2;
    const leased = origin.leasedBytes(ledger, wanted);
    if (leased >= wanted) return 0;
    const { start, end } = ledger.shardPositions(0);
    const shardBytes = ledger.meanBytes * Math.max(end - start, 1);
    return Math.min(Math.ceil((wanted - leased) / shardBytes), SHARDS_PER_MESSAGE_MAX);
  }
}
