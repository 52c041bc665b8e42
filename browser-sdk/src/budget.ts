/** What a user gives at most, and what that leaves to one core. */
import type { Policy } from "./swarm/policy.ts";

/** Caps of what is uploaded while the page is open, over all its downloads and streams. `null`: no such cap. */
export interface UploadBudget {
  /** Most bytes a second. */
  readonly rateBytesS: number | null;
  /** Most bytes for each thousand received. */
  readonly ratioPermille: number | null;
  /** Bytes that the ratio lets go ahead of what was received, without which two newcomers could not begin. */
  readonly allowanceBytes: number;
  /** Most bytes in all. */
  readonly totalBytes: number | null;
}

/** 5 Mbit/s, no more than was received and 16 MiB, 1 GiB in all. */
export const UPLOAD_BUDGET: UploadBudget = {
  rateBytesS: 625_000,
  ratioPermille: 1000,
  allowanceBytes: 2 ** 24,
  totalBytes: 2 ** 30,
};

/** What the page has done so far, as one of its cores has to see it. */
export interface UploadUse {
  /** Bytes received by all cores, from whatever source. */
  readonly receivedBytes: number;
  /** Bytes uploaded by all cores but this one, also by those that have ended. */
  readonly otherSentBytes: number;
  /** Cores that share the rate, this one among them. */
  readonly cores: number;
}

/** The caps of a core. */
export type UploadCaps = Pick<Policy, "upload_bytes_s_max" | "upload_bytes_max">;

/** A budget of a site's or user's choice, the rest being {@link UPLOAD_BUDGET}. Throws a {@link RangeError}. */
export function uploadBudget(wanted: Partial<UploadBudget> = {}): UploadBudget {
  const budget = { ...UPLOAD_BUDGET, ...wanted };
  for (const [name, value] of Object.entries(budget)) {
    const isUncapped = value === null && name !== "allowanceBytes";
    if (!isUncapped && !(Number.isSafeInteger(value) && Number(value) >= 0)) {
      throw new RangeError(`upload budget: ${name} is ${String(value)}, not a whole number from 0 up`);
    }
  }
  return budget;
}

/** What `budget` leaves to a core. Both caps only ever count what the core itself sends. */
export function uploadCaps(budget: UploadBudget, { receivedBytes, otherSentBytes, cores }: UploadUse): UploadCaps {
  const { rateBytesS, ratioPermille, allowanceBytes, totalBytes } = budget;
  const earned = ratioPermille === null ? Infinity : Math.floor((receivedBytes * ratioPermille) / 1000) + allowanceBytes;
  const bytesMax = Math.min(earned, totalBytes ?? Infinity);
  return {
    upload_bytes_s_max: rateBytesS === null ? null : Math.floor(rateBytesS / cores),
    upload_bytes_max: bytesMax === Infinity ? null : Math.max(bytesMax - otherSentBytes, 0),
  };
}
