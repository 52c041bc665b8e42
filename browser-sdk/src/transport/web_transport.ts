/**
 * Connects a page to a node by WebTransport: each request has a stream of its own. A part of the SDK that is loaded for
 * the first node; what it shares with the rest is handed to it.
 */
import type { Frame, Request } from "../protocol/frame.ts";
import { hashBytes, type Hash } from "../protocol/id.ts";
import { DATA_BYTES_MAX } from "../protocol/limits.ts";
import type { LinkBinding } from "../protocol/ticket.ts";
import { readAnswer } from "./answer_reader.ts";
import { readFrames, type Frames } from "./frame_reader.ts";
import type { Wire, WireEvents } from "./wire.ts";

/** A page has no certificate of its own. */
const NO_CERTIFICATE = "0".repeat(64) as Hash;
const NO_BYTES = new Uint8Array(0);

/** Connects within `limitMs`, or throws. */
export async function dialWebTransport(
  frames: Frames,
  address: string,
  certificates: readonly Hash[],
  limitMs: number,
): Promise<Wire> {
  const serverCertificateHashes = certificates.map((hash) => ({ algorithm: "sha-256", value: hashBytes(hash) }));
  const session = new WebTransport(`https://${address}/`, { serverCertificateHashes });
  const timer = setTimeout(() => session.close(), limitMs);
  // A session that never became ready also ends `closed` badly, which is no news.
  session.closed.catch(() => undefined);
  try {
    await session.ready;
    const control = await session.createBidirectionalStream();
    return new WebTransportWire(frames, session, control, certificates);
  } finally {
    clearTimeout(timer);
  }
}

type Streams = WebTransportBidirectionalStream;

class WebTransportWire implements Wire {
  readonly kind = "web-transport";
  readonly side = "dialer";
  readonly bindings: readonly LinkBinding[];
  readonly #frames: Frames;
  readonly #session: WebTransport;
  readonly #control: Streams;
  readonly #controlWriter: WritableStreamDefaultWriter<Uint8Array>;
  /** Own requests, by how to take them back. */
  readonly #asks = new Map<number, () => void>();
  /** Requests of the peer that wait for an answer. */
  readonly #asked = new Map<number, WritableStreamDefaultWriter<Uint8Array>>();
  #events: WireEvents | undefined;

  constructor(frames: Frames, session: WebTransport, control: Streams, certificates: readonly Hash[]) {
    this.#frames = frames;
    this.#session = session;
    this.#control = control;
    this.#controlWriter = control.writable.getWriter();
    this.bindings = certificates.map((acceptor) => ({ dialer: NO_CERTIFICATE, acceptor }));
  }

  open(events: WireEvents): void {
    this.#events = events;
    const close = (): void => this.close();
    this.#session.closed.then(() => events.closed(), () => events.closed());
    readFrames(this.#frames, this.#control.readable, (frame) => this.#controlFrame(frame)).then(close, close);
    this.#accept().then(close, close);
  }

  send(frame: Frame): void {
    this.#controlWriter.write(this.#frames.encodeFrame(frame)).catch(() => undefined);
  }

  ask(request: Request, bytes: number): void {
    this.#ask(request, bytes).catch(() => {
      if (this.#asks.delete(request.request)) this.#events?.broken(request.request);
    });
  }

  cancel(request: number): void {
    const cancel = this.#asks.get(request);
    this.#asks.delete(request);
    cancel?.();
  }

  async answer(request: number, bytes: Uint8Array): Promise<number> {
    const writer = this.#asked.get(request);
    if (writer === undefined) return 0;
    let sent = 0;
    try {
      while (sent < bytes.length) {
        const payload = bytes.subarray(sent, sent + DATA_BYTES_MAX);
        const head = { type: "data", request, encoding: "identity", total: bytes.length, payload: NO_BYTES } as const;
        // The stream copies what it takes, so the payload need not be copied to its head.
        await writer.write(this.#frames.encodeFrame(head, payload.length));
        await writer.write(payload);
        sent += payload.length;
      }
      await writer.close();
    } catch {
      // The peer took the request back.
    }
    this.#asked.delete(request);
    return sent;
  }

  refuse(frame: Extract<Frame, { readonly type: "refuse" }>): void {
    const writer = this.#asked.get(frame.request);
    this.#asked.delete(frame.request);
    writer
      ?.write(this.#frames.encodeFrame(frame))
      .then(() => writer.close())
      .catch(() => undefined);
  }

  close(): void {
    try {
      this.#session.close();
    } catch {
      // It is closed already.
    }
  }

  #controlFrame(frame: Frame): void {
    const isMisplaced = ["request", "data", "refuse", "cancel"].includes(frame.type);
    if (isMisplaced) throw new Error("a frame that does not belong on the control stream");
    this.#events?.frame(frame);
  }

  async #ask(request: Request, bytes: number): Promise<void> {
    const abort = new AbortController();
    this.#asks.set(request.request, () => abort.abort());
    const { readable, writable } = await this.#session.createBidirectionalStream();
    const reset = (): void => {
      writable.abort().catch(() => undefined);
      readable.cancel().catch(() => undefined);
    };
    if (abort.signal.aborted) return reset();
    this.#asks.set(request.request, reset);
    const writer = writable.getWriter();
    await writer.write(this.#frames.encodeFrame(request));
    writer.releaseLock();
    await writable.close();
    await readAnswer(this.#frames, readable, bytes, (frame, gathered) => {
      const isAnswer = (frame.type === "data" || frame.type === "refuse") && frame.request === request.request;
      if (!isAnswer) throw new Error("no answer");
      if (this.#asks.has(request.request)) this.#events?.answer(frame, gathered);
    });
    this.#asks.delete(request.request);
  }

  /** Takes the streams on which the node asks. */
  async #accept(): Promise<void> {
    const reader = this.#session.incomingBidirectionalStreams.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.#serve(value as Streams).catch(() => undefined);
    }
  }

  async #serve({ readable, writable }: Streams): Promise<void> {
    const writer = writable.getWriter() as WritableStreamDefaultWriter<Uint8Array>;
    await readFrames(this.#frames, readable, (frame) => {
      if (frame.type !== "request" || this.#asked.has(frame.request)) throw new Error("no request");
      this.#asked.set(frame.request, writer);
      writer.closed.catch(() => {
        if (this.#asked.delete(frame.request)) this.#events?.cancelled(frame.request);
      });
      this.#events?.asked(frame);
    });
  }
}
