/** What a page needs to make a client of a stream of the lab. */

/** Where pages find it on the origin. */
export const CONFIG_PATH = "/freshet.json";

export interface SwarmConfig {
  /** WebSocket addresses. */
  readonly tracker: readonly string[];
  readonly tenantKey: string;
  readonly stream: string;
}
