/** Freshet in the browser: media and files of a site, mostly from other viewers, verified, with HTTP behind everything. */

/** The client of a page, and what it is told and tells. */
export {
  createClient,
  type Client,
  type ClientEvents,
  type ClientOptions,
  type HlsOptions,
  type Stats,
} from "./client.ts";
/** What support is told. */
export { type Diagnosis, type Nat } from "./diagnose.ts";
/** What the user is asked, and may answer. */
export { type Asker, type ConsentAnswer, type ConsentState } from "./consent/consent.ts";
/** What the user gives at most. */
export { type UploadBudget } from "./budget.ts";
/** When peers are not used although the user agreed. */
export { type ConditionPolicy, type Reason, type Verdict } from "./conditions.ts";
/** Why bytes came over HTTP. */
export { type OriginReason } from "./swarm/output.ts";
