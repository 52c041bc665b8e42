/** What a browser may lack: scripts that take it away before those of the page run. */

export const MISSING = {
  RTCPeerConnection: "delete window.RTCPeerConnection",
  WebTransport: "delete window.WebTransport",
  WebSocket: "delete window.WebSocket",
  "service workers": "delete Navigator.prototype.serviceWorker",
  // Browsers without it refuse the name.
  Ed25519: `
    for (const method of ["generateKey", "importKey"]) {
      const native = crypto.subtle[method];
      crypto.subtle[method] = (...given) =>
        given.some((one) => (one?.name ?? one) === "Ed25519")
          ? Promise.reject(new DOMException("no such algorithm", "NotSupportedError"))
          : native.apply(crypto.subtle, given);
    }`,
  "media source extensions": "delete window.MediaSource; delete window.ManagedMediaSource",
} as const;

export type Missing = keyof typeof MISSING;
