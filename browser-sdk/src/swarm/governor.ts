/**
 * When the origin must help, and why.
 *
 * Bulk jobs are held against a line: `slack x reference rate x elapsed`. Above it, peers come first and the origin gives
 * only first copies; below it, or when nothing moves, the origin helps at once. At `speed` the origin is one more source
 * throughout, within the share that its operator allows each job.
 */
import { LONELY_US, SHARE_EVEN_PERMILLE, STALL_US, TRACKER_WAIT_US } from "./limits.ts";
import type { OriginReason } from "./output.ts";
import type { Policy } from "./policy.ts";
import { clamp, quotient } from "./whole.ts";

/** What is known of the tracker: none is configured, it has not answered yet, it answers, it does not answer. */
export type Tracker = "none" | "unheard" | "up" | "down";

/**
 * Which chunks the origin should give: those granted by the tracker, in this peer's own order around what neighbours
 * hold or fetch, from the first to the last in large ranges, or the rarest.
 */
export type Choice = "leased" | "own-order" | "sequential" | "rarest";

/** What the governor asks of the origin now. */
export interface Demand {
  readonly choice: Choice;
  readonly reason: OriginReason;
}

/** What the governor looks at. */
export interface View {
  readonly now: number;
  readonly tracker: Tracker;
  /** Whether there is no way to any peer. */
  readonly isAlone: boolean;
  /** Whether any link could be asked. */
  readonly hasUsefulLink: boolean;
  /** Whether requests to peers are out. */
  readonly hasRequests: boolean;
  /** Whether granted positions are left. */
  readonly hasLease: boolean;
  /** How far this peer is ahead of its neighbours' mean, in thousandths of the release; none without neighbours. */
  readonly aheadPermille: number | undefined;
  /** Bytes of the job that are here. */
  readonly gotBytes: number;
}

export class Governor {
  #startedUs: number;
  /** Bytes that were got before the start. */
  #beforeBytes = 0;
  #progressUs: number;
  /** Last time that a peer could be asked. */
  #companyUs: number;
  #activeJobs = 1;
  /**
   * The origin's rate when it last gave what all jobs get from it, in bytes a second, and the number of jobs then. What
   * it gives to those below the line says nothing: the others leave it to them.
   */
  #measured: { readonly rate: number; readonly jobs: number } | undefined;
  #budgetBytesS: number | null = null;
  /** Bytes that this job may still take beyond first copies, under its share of the budget. */
  #shareTokens = 0;
  #shareUs: number;

  constructor(now: number) {
    this.#startedUs = now;
    this.#progressUs = now;
    this.#companyUs = now;
    this.#shareUs = now;
  }

  /** All was there, and more is wanted now: the line begins anew. */
  beginAgain(now: number, gotBytes: number): void {
    this.#startedUs = now;
    this.#progressUs = now;
    this.#beforeBytes = gotBytes;
  }

  /** The tracker's word about the swarm. */
  swarm(activeJobs: number, budgetBytesS: number | null): void {
    this.#activeJobs = Math.max(activeJobs, 1);
    this.#budgetBytesS = budgetBytesS;
  }

  /** Bytes came in from anywhere. */
  progress(now: number): void {
    this.#progressUs = now;
  }

  /** Bytes came in from the origin, which were fetched for `reason`; its rate now. */
  originProgress(now: number, reason: OriginReason, rate: number | undefined): void {
    this.progress(now);
    if (reason !== "slow-peers" && rate !== undefined) this.#measured = { rate, jobs: this.#activeJobs };
  }

  /** The origin is asked for `bytes`. */
  spend(bytes: number): void {
    this.#shareTokens -= bytes;
  }

  /** What the origin should give now, if anything. */
  demand(policy: Policy, view: View): Demand | undefined {
    const { now, tracker, hasUsefulLink } = view;
    if (hasUsefulLink) this.#companyUs = now;
    if (!policy.p2p) return { choice: "sequential", reason: "policy" };
    if (view.isAlone) return { choice: "sequential", reason: "no-peers" };
    if (view.hasLease) return { choice: "leased", reason: "first-copy" };
    if (tracker === "unheard" && now < this.#startedUs + TRACKER_WAIT_US) return undefined;
    if (now >= this.#progressUs + STALL_US || this.#isBelowLine(policy, view)) {
      return { choice: "rarest", reason: hasUsefulLink ? "slow-peers" : "no-peers" };
    }
    if (policy.goal === "speed" && this.#hasShare(view)) {
      return { choice: "rarest", reason: hasUsefulLink ? "policy" : "no-peers" };
    }
    // Without a tracker nobody spreads first copies: each peer takes its own order around its neighbours'.
    if (tracker !== "up") return { choice: "own-order", reason: hasUsefulLink ? "first-copy" : "no-peers" };
    const isAlone = !policy.sharing && !hasUsefulLink && !view.hasRequests;
    if (isAlone || now >= this.#companyUs + LONELY_US) return { choice: "own-order", reason: "no-peers" };
    return undefined;
  }

  /** Whether the job is behind what HTTP alone would have done, by the slack that policy allows. */
  #isBelowLine(policy: Policy, { now, gotBytes }: View): boolean {
    const elapsedUs = Math.max(now - this.#startedUs - STALL_US, 0);
    // What was measured when few jobs shared the origin is not what HTTP alone would give among many.
    const { rate, jobs } = this.#measured ?? { rate: policy.reference_bytes_s_floor, jobs: this.#activeJobs };
    const measured = this.#measured ? quotient(rate * jobs, this.#activeJobs) : rate;
    const most = policy.download_bytes_s_max ?? Infinity;
    const reference = Math.min(measured, this.#shareBytesS() ?? Infinity, most);
    const slackPermille = policy.goal === "speed" ? 1000 : policy.offload_slack_permille;
    // The product passes 2^53 within minutes.
    const line = (BigInt(reference) * BigInt(elapsedUs) * BigInt(slackPermille)) / 1_000_000_000n;
    return BigInt(gotBytes - this.#beforeBytes) < line;
  }

  #shareBytesS(): number | undefined {
    return this.#budgetBytesS === null ? undefined : quotient(this.#budgetBytesS, this.#activeJobs);
  }

  /**
   * Whether the job's share of the origin has anything left; a quarter of a second may be saved up. Who is behind its
   * neighbours gets up to twice its share of the budget and who is ahead leaves that to others, so that all end
   * together: the crowd is done when its last member is.
   */
  #hasShare({ now, aheadPermille }: View): boolean {
    const even = this.#shareBytesS();
    if (even === undefined) return true;
    const weight = clamp(SHARE_EVEN_PERMILLE - (aheadPermille ?? 0), 0, 2 * SHARE_EVEN_PERMILLE);
    const share = quotient(even * weight, SHARE_EVEN_PERMILLE);
    const earned = quotient(share * (now - this.#shareUs), 1_000_000);
    if (earned > 0) {
      this.#shareTokens = Math.min(this.#shareTokens + earned, quotient(share, 4));
      this.#shareUs = now;
    } else if (weight === 0) {
      this.#shareUs = now;
    }
    return this.#shareTokens > 0;
  }
}
