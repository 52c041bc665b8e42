/** What carries frames between two peers: a data channel, or a WebTransport session. */
import type { Data, Frame, Request } from "../protocol/frame.ts";
import type { LinkBinding, Side } from "../protocol/ticket.ts";

/** How two peers are connected. */
export type WireKind = "web-rtc" | "web-transport";

/** What comes in over a wire. */
export interface WireEvents {
  /** A frame of the link itself. */
  frame(frame: Frame): void;
  /**
   * A part of an answer to an own request, or its refusal. `gathered` holds the answer up to here, where the wire puts it
   * together itself.
   */
  answer(frame: Data | Extract<Frame, { readonly type: "refuse" }>, gathered?: Uint8Array): void;
  /** An own request broke off. */
  broken(request: number): void;
  /** The peer asks. */
  asked(request: Request): void;
  /** The peer takes a request back. */
  cancelled(request: number): void;
  /** The wire is gone. */
  closed(): void;
}

/** A wire that is connected. Nothing of it throws: what cannot be sent is lost with the wire. */
export interface Wire {
  readonly kind: WireKind;
  /** The side that this peer has. */
  readonly side: Side;
  /** Both ends of this very channel; several where one of the other's certificates is in use and it is not known which. */
  readonly bindings: readonly LinkBinding[];
  /** Begins to tell `events` what comes in. */
  open(events: WireEvents): void;
  send(frame: Frame): void;
  /** Asks for a blob of so many bytes. */
  ask(request: Request, bytes: number): void;
  /** Takes an own request back. */
  cancel(request: number): void;
  /** Answers a request, as fast as the peer takes it; how many bytes it took. */
  answer(request: number, bytes: Uint8Array): Promise<number>;
  refuse(frame: Extract<Frame, { readonly type: "refuse" }>): void;
  close(): void;
}
