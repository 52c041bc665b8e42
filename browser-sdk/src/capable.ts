/** What the SDK cannot do without. */

/**
 * Whether this page can check what it receives. Browsers hash only in secure contexts (HTTPS or localhost); elsewhere
 * the SDK steps aside, and the page loads over HTTP as if it were not there.
 */
export function isCapable(): boolean {
  // Where the types promise it always, insecure pages and old browsers have none.
  return typeof (globalThis.crypto as Crypto | undefined)?.subtle === "object";
}

/** Whether this browser has any way to talk to a peer. */
export function hasTransport(): boolean {
  return "RTCPeerConnection" in globalThis || "WebTransport" in globalThis;
}
