/** A wire over one WebRTC data channel: each message is one frame. */
import { decodeFrame, encodeFrame, type Frame, type Request } from "../protocol/frame.ts";
import { DATA_CHANNEL_BYTES_MAX } from "../protocol/limits.ts";
import type { LinkBinding, Side } from "../protocol/ticket.ts";
import type { Wire, WireEvents } from "./wire.ts";

/** Bytes that wait in the browser before answers pause: enough for a fast line, little enough to stay responsive. */
const BUFFERED_BYTES_MAX = 512 << 10;
const BUFFERED_BYTES_LOW = 256 << 10;

export class DataChannelWire implements Wire {
  readonly kind = "web-rtc";
  readonly side: Side;
  readonly bindings: readonly LinkBinding[];
  readonly #channel: RTCDataChannel;
  /** Messages that came before the wire was opened. */
  readonly #early: readonly unknown[];
  readonly #onClose: () => void;
  /** Requests of the peer that are being answered. */
  readonly #answering = new Set<number>();
  #lowWaiters: (() => void)[] = [];
  #events: WireEvents | undefined;
  #isClosed = false;

  /** `early` gets the messages that come before {@link open}; `onClose` releases what the channel belongs to. */
  constructor(
    channel: RTCDataChannel,
    early: readonly unknown[],
    side: Side,
    binding: LinkBinding,
    onClose: () => void,
  ) {
    this.#channel = channel;
    this.#early = early;
    this.side = side;
    this.bindings = [binding];
    this.#onClose = onClose;
    channel.bufferedAmountLowThreshold = BUFFERED_BYTES_LOW;
    channel.onbufferedamountlow = () => this.#wake();
  }

  open(events: WireEvents): void {
    this.#events = events;
    const take = (data: unknown): void => {
      try {
        this.#heard(new Uint8Array(data as ArrayBuffer), events);
      } catch {
        this.close();
      }
    };
    for (const data of this.#early) take(data);
    this.#channel.onmessage = ({ data }) => take(data);
    this.#channel.onclose = () => this.close();
    if (this.#channel.readyState !== "open") this.close();
  }

  send(frame: Frame): void {
    if (this.#channel.readyState !== "open") return;
    try {
      this.#channel.send(encodeFrame(frame));
    } catch {
      // The browser's queue is full: who reads so slowly is no peer.
      this.close();
    }
  }

  ask(request: Request): void {
    this.send(request);
  }

  cancel(request: number): void {
    this.send({ type: "cancel", request });
  }

  async answer(request: number, bytes: Uint8Array): Promise<number> {
    this.#answering.add(request);
    let sent = 0;
    while (sent < bytes.length && this.#answering.has(request)) {
      if (this.#channel.bufferedAmount > BUFFERED_BYTES_MAX) {
        await new Promise<void>((resolve) => this.#lowWaiters.push(resolve));
        continue;
      }
      const payload = bytes.subarray(sent, sent + DATA_CHANNEL_BYTES_MAX);
      this.send({ type: "data", request, encoding: "identity", total: bytes.length, payload });
      sent += payload.length;
    }
    this.#answering.delete(request);
    return sent;
  }

  refuse(frame: Extract<Frame, { readonly type: "refuse" }>): void {
    this.send(frame);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#answering.clear();
    this.#wake();
    this.#channel.close();
    this.#onClose();
    this.#events?.closed();
  }

  #heard(message: Uint8Array, events: WireEvents): void {
    const decoded = decodeFrame(message);
    if (decoded === undefined || decoded.length !== message.length) throw new Error("a message is one frame");
    const { frame } = decoded;
    switch (frame.type) {
      case "data":
      case "refuse":
        return events.answer(frame);
      case "request":
        return events.asked(frame);
      case "cancel":
        this.#answering.delete(frame.request);
        return events.cancelled(frame.request);
      case "skipped":
        return;
      default:
        return events.frame(frame);
    }
  }

  #wake(): void {
    const waiters = this.#lowWaiters;
    this.#lowWaiters = [];
    for (const wake of waiters) wake();
  }
}
