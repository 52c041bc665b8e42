/** How a server misbehaves, on request. */

export type Fault =
  /** Answers with this status and no body. */
  | { readonly kind: "status"; readonly status: number }
  /** Sends so many bytes of the body and then nothing, with the connection open. */
  | { readonly kind: "stall"; readonly after_bytes: number }
  /** Sends so many bytes of the body and then closes the connection. */
  | { readonly kind: "cut"; readonly after_bytes: number }
  /** Inverts the byte in the middle of the body. */
  | { readonly kind: "corrupt" };

export interface Rule {
  /** Which paths. */
  readonly path: RegExp;
  readonly fault: Fault;
  /** How many requests; without it, all. */
  readonly times?: number;
  /** Which viewer; without it, all. */
  readonly viewer?: string;
}

export class Faults {
  #rules: { readonly rule: Rule; left: number }[] = [];

  /** From now on; the oldest rule that fits wins. */
  add(rule: Rule): void {
    this.#rules.push({ rule, left: rule.times ?? Number.POSITIVE_INFINITY });
  }

  clear(): void {
    this.#rules = [];
  }

  /** The fault for this request, which counts as one of its times. */
  take(path: string, viewer: string | undefined): Fault | undefined {
    const found = this.#rules.find(
      ({ rule, left }) => left > 0 && rule.path.test(path) && (rule.viewer === undefined || rule.viewer === viewer),
    );
    if (found) found.left -= 1;
    return found?.rule.fault;
  }
}

/** The body as the fault leaves it. `closed` tells that nobody listens any more. */
export async function* faulty(
  body: AsyncIterable<Uint8Array>,
  body_bytes: number,
  fault: Fault | undefined,
  closed: AbortSignal,
): AsyncIterable<Uint8Array> {
  const middle = Math.floor(body_bytes / 2);
  let sent = 0;
  for await (const bytes of body) {
    if (fault?.kind === "corrupt" && sent <= middle && middle < sent + bytes.length) {
      const wrong = Uint8Array.from(bytes);
      wrong[middle - sent] = 0xff ^ (wrong[middle - sent] ?? 0);
      yield wrong;
    } else if ((fault?.kind === "stall" || fault?.kind === "cut") && sent + bytes.length > fault.after_bytes) {
      if (sent < fault.after_bytes) yield bytes.subarray(0, fault.after_bytes - sent);
      if (fault.kind === "stall") await closedBy(closed);
      throw new Cut();
    } else {
      yield bytes;
    }
    sent += bytes.length;
  }
}

/** The body ends early, on purpose. */
export class Cut extends Error {}

function closedBy(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
