/** Connects two pages, or a page and a node, by WebRTC: one offer a pair, trickled candidates, the tracker's STUN. */
import { hashOf, type Hash } from "../protocol/id.ts";
import { unhex } from "../protocol/bytes.ts";
import { SIGNAL_BYTES_MAX } from "../protocol/limits.ts";
import type { Side } from "../protocol/ticket.ts";
import { DataChannelWire } from "./data_channel.ts";
import type { Wire } from "./wire.ts";

const LABEL = "freshet/1";
/** Time from the offer to the open channel. */
const CONNECT_MS = 10_000;
/** Most messages of the other side before this one is ready for them: it says Hello, and then waits. */
const EARLY_MAX = 4;
/** Most candidates taken from the other side. */
const CANDIDATES_MAX = 32;

/** What the two sides tell each other through the tracker (PROTOCOL.md 8). */
type Signal =
  | { readonly type: "offer" | "answer"; readonly sdp: string }
  | { readonly type: "candidate"; readonly candidate: string; readonly mid: string };

export class WebRtcDial {
  readonly #connection: RTCPeerConnection;
  readonly #side: Side;
  readonly #signal: (data: string) => void;
  readonly #timer: ReturnType<typeof setTimeout>;
  /** Candidates that came before the description that they belong to. */
  #early: RTCIceCandidateInit[] = [];
  #candidates = 0;
  #isClosed = false;
  /** The wire once it is open; rejected when there will be none. */
  readonly wire: Promise<Wire>;
  #resolve: (wire: Wire) => void = () => undefined;
  #reject: (reason: Error) => void = () => undefined;
  /** Resolves when both descriptions show, which may be after the channel that they describe has opened. */
  readonly #described: Promise<void>;
  #show: () => void = () => undefined;

  constructor(side: Side, stun: readonly string[], signal: (data: string) => void) {
    this.#side = side;
    this.#signal = signal;
    this.#connection = new RTCPeerConnection({ iceServers: stun.map((urls) => ({ urls })) });
    this.wire = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#described = new Promise((resolve) => (this.#show = resolve));
    this.#timer = setTimeout(() => this.close(), CONNECT_MS);
    this.#connection.onicecandidate = ({ candidate }) => {
      if (candidate === null || candidate.candidate === "") return;
      this.#tell({ type: "candidate", candidate: candidate.candidate, mid: candidate.sdpMid ?? "0" });
    };
    this.#connection.onconnectionstatechange = () => {
      if (this.#connection.connectionState === "failed") this.close();
    };
    if (side === "dialer") {
      this.#take(this.#connection.createDataChannel(LABEL));
      this.#describe().catch(() => this.close());
    } else {
      this.#connection.ondatachannel = ({ channel }) => this.#take(channel);
    }
  }

  /** Takes what the other side says. */
  async heard(data: string): Promise<void> {
    try {
      await this.#heard(JSON.parse(data) as Signal);
    } catch {
      // Not for this side, or not understood: without a channel in time the dial fails.
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#connection.close();
    this.#reject(new Error("no WebRTC connection"));
  }

  async #heard(signal: Signal): Promise<void> {
    if (signal.type === "candidate") {
      this.#candidates += 1;
      if (this.#candidates > CANDIDATES_MAX) return;
      const candidate = { candidate: signal.candidate, sdpMid: signal.mid };
      if (this.#connection.remoteDescription === null) this.#early.push(candidate);
      else await this.#connection.addIceCandidate(candidate);
      return;
    }
    // Each side takes the one description that the other owes it.
    if (signal.type !== (this.#side === "dialer" ? "answer" : "offer")) return;
    await this.#connection.setRemoteDescription({ type: signal.type, sdp: signal.sdp });
    if (signal.type === "offer") await this.#describe();
    this.#show();
    for (const candidate of this.#early.splice(0)) await this.#connection.addIceCandidate(candidate);
  }

  async #describe(): Promise<void> {
    await this.#connection.setLocalDescription();
    const { type, sdp } = this.#connection.localDescription as RTCSessionDescription;
    this.#tell({ type: type as "offer" | "answer", sdp });
  }

  #tell(signal: Signal): void {
    const data = JSON.stringify(signal);
    if (data.length <= SIGNAL_BYTES_MAX) this.#signal(data);
  }

  #take(channel: RTCDataChannel): void {
    channel.binaryType = "arraybuffer";
    // The other side may speak before this one has looked at both fingerprints, and nobody keeps that otherwise.
    const early: unknown[] = [];
    channel.onmessage = ({ data }) => {
      if (early.push(data) > EARLY_MAX) this.close();
    };
    const opened = (): void => void this.#opened(channel, early).catch(() => this.close());
    if (channel.readyState === "open") opened();
    else channel.onopen = opened;
  }

  async #opened(channel: RTCDataChannel, early: readonly unknown[]): Promise<void> {
    await this.#described;
    const [own, theirs] = await Promise.all(
      [this.#connection.localDescription, this.#connection.remoteDescription].map(fingerprintHash),
    );
    const [dialer, acceptor] = this.#side === "dialer" ? [own, theirs] : [theirs, own];
    if (dialer === undefined || acceptor === undefined) return this.close();
    clearTimeout(this.#timer);
    this.#resolve(new DataChannelWire(channel, early, this.#side, { dialer, acceptor }, () => this.close()));
  }
}

/** Hash of the DTLS fingerprint that a description names; the browser holds the other side to it. */
async function fingerprintHash(description: RTCSessionDescription | null): Promise<Hash | undefined> {
  const text = /^a=fingerprint:sha-256 ([\dA-F:]{95})/im.exec(description?.sdp ?? "")?.[1];
  return text === undefined ? undefined : hashOf(unhex(text.replaceAll(":", "")));
}
