/** Whether peers may be used and served now, given the user's word and the surroundings. */
import type { Consent } from "./consent/consent.ts";
import { Emitter } from "./events.ts";
import { pageSurroundings, type Sensed, type Surroundings } from "./surroundings.ts";

/** Why peers are not used or not served. */
export type Reason = "unsupported" | "consent" | "save-data" | "cellular" | "hidden" | "battery";

/** What may be done now. Who does not use peers does not serve them either. */
export interface Verdict {
  readonly p2p: boolean;
  readonly upload: boolean;
  /** All that speaks against either, in the order of {@link Reason}. */
  readonly reasons: readonly Reason[];
}

/** What the site decides. */
export interface ConditionPolicy {
  /** Whether a mobile network may be used. Off: its users pay by the byte. */
  readonly cellular: boolean;
  /** What a hidden tab does: goes on, only receives, or leaves its peers. */
  readonly hidden: "upload" | "leech" | "off";
  /** How long a tab is hidden before that holds, in milliseconds, so that a glance elsewhere breaks nothing off. */
  readonly hiddenAfterMs: number;
}

/** No mobile networks; a tab hidden for 30 s only receives. */
export const CONDITION_POLICY: ConditionPolicy = { cellular: false, hidden: "leech", hiddenAfterMs: 30_000 };
/** A battery with less than this, from 0 to 1, is left alone. */
export const BATTERY_MIN = 0.2;

/** Watches the surroundings and the user's word. */
export class Conditions extends Emitter<{ change: Verdict }> {
  readonly #consent: Consent;
  readonly #policy: ConditionPolicy;
  readonly #surroundings: Surroundings;
  readonly #unwatch: () => void;
  readonly #update = () => this.#judge();
  #hiding: ReturnType<typeof setTimeout> | undefined;
  /** Whether the tab has been hidden for long enough. */
  #isHidden = false;
  #verdict: Verdict;

  constructor(consent: Consent, policy: Partial<ConditionPolicy> = {}, surroundings: Surroundings = pageSurroundings()) {
    super();
    this.#consent = consent;
    this.#policy = { ...CONDITION_POLICY, ...policy };
    this.#surroundings = surroundings;
    this.#verdict = this.#sense();
    consent.on("change", this.#update);
    this.#unwatch = surroundings.watch(this.#update);
  }

  get verdict(): Verdict {
    return this.#verdict;
  }

  override close(): void {
    this.#unwatch();
    this.#consent.off("change", this.#update);
    clearTimeout(this.#hiding);
    super.close();
  }

  #judge(): void {
    const before = this.#verdict;
    this.#verdict = this.#sense();
    // Which reasons hold decides the rest.
    if (before.reasons.join() !== this.#verdict.reasons.join()) this.emit("change", this.#verdict);
  }

  #sense(): Verdict {
    const sensed = this.#surroundings.read();
    this.#countHidden(sensed.isHidden);
    const { hidden } = this.#policy;
    // Consent covers receiving too: peers see the address of whoever links with them.
    const againstP2p: readonly (Reason | false)[] = [
      !sensed.isSupported && "unsupported",
      this.#consent.state !== "granted" && "consent",
      sensed.saveData && "save-data",
      !this.#policy.cellular && isCellular(sensed) && "cellular",
      hidden === "off" && this.#isHidden && "hidden",
    ];
    const againstUpload: readonly (Reason | false)[] = [
      hidden === "leech" && this.#isHidden && "hidden",
      sensed.battery !== undefined && sensed.battery < BATTERY_MIN && "battery",
    ];
    const reasons = [...againstP2p, ...againstUpload].filter((reason) => reason !== false);
    return { p2p: !againstP2p.some(Boolean), upload: reasons.length === 0, reasons };
  }

  #countHidden(isHidden: boolean): void {
    if (isHidden) {
      this.#hiding ??= setTimeout(() => {
        this.#isHidden = true;
        this.#judge();
      }, this.#policy.hiddenAfterMs);
    } else {
      clearTimeout(this.#hiding);
      this.#hiding = undefined;
      this.#isHidden = false;
    }
  }
}

/** A phone on a network that it does not name is taken to be on a mobile one. */
function isCellular({ network, isMobile }: Sensed): boolean {
  return network === "cellular" || (isMobile && network !== "wifi" && network !== "ethernet");
}
