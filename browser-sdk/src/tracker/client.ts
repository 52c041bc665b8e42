/**
 * The connection to the tracker: opened again and again while it is wanted, with a random wait that grows. Of several
 * trackers the next is tried where one fails. What is in it is soft state: after each welcome the owner announces anew.
 */
import {
  decodeServerMessage,
  encodeMessage,
  TRACKER_VERSION,
  trackerProofMessage,
  type ServerMessage,
} from "../protocol/tracker.ts";
import type { ClientMessage } from "../protocol/tracker_client.ts";
import { AGENT } from "../agent.ts";
import type { Identity } from "../identity.ts";

/** What the tracker says at first. */
export type Welcome = Extract<ServerMessage, { readonly type: "welcome" }>;

/** Who hears of the tracker. */
export interface TrackerEvents {
  /** The tracker knows this client (again). */
  welcome(welcome: Welcome): void;
  message(message: ServerMessage): void;
}

const RETRY_MS = 500;
const RETRY_MS_MAX = 60_000;
/** Faulty messages after which the connection is given up. */
const FAULTS_MAX = 8;

export class TrackerClient {
  /** Trackers in order: the first is used, or tried. */
  readonly #urls: string[];
  readonly #identity: Identity;
  readonly #token: string | undefined;
  readonly #events: TrackerEvents;
  #socket: WebSocket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #retryMs = RETRY_MS;
  #isWelcome = false;

  /** Goes round in `urls`, which is its own from now on. */
  constructor(urls: string[], identity: Identity, token: string | undefined, events: TrackerEvents) {
    this.#urls = urls;
    this.#identity = identity;
    this.#token = token;
    this.#events = events;
    this.#open();
  }

  /** Whether the tracker answers now. */
  get isUp(): boolean {
    return this.#isWelcome;
  }

  /** The tracker that is used, or tried. */
  get url(): string {
    return this.#urls[0] as string;
  }

  /** Sends a message, or drops it while the tracker is away. */
  send(message: ClientMessage): void {
    if (this.#isWelcome) this.#socket?.send(encodeMessage(message));
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#drop();
  }

  #open(): void {
    let socket: WebSocket;
    try {
      socket = new WebSocket(this.url);
    } catch {
      // A policy of the page forbids it, now and later.
      return;
    }
    this.#socket = socket;
    let faults = 0;
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      // What is not text is no message either.
      this.#heard(data as string).catch(() => {
        faults += 1;
        if (faults > FAULTS_MAX) socket.close();
      });
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#lost(this.#retryMs);
    };
  }

  async #heard(text: string): Promise<void> {
    const message = decodeServerMessage(text);
    if (message.type === "challenge") {
      const proof = await this.#identity.key.sign(trackerProofMessage(message.nonce));
      const hello = {
        type: "hello",
        version_min: TRACKER_VERSION,
        version_max: TRACKER_VERSION,
        key: this.#identity.key.public,
        proof,
        agent: AGENT,
        // Left out of the JSON where there is none.
        token: this.#token as string,
      } as const;
      this.#socket?.send(encodeMessage(hello));
    } else if (message.type === "welcome") {
      this.#isWelcome = true;
      this.#retryMs = RETRY_MS;
      this.#events.welcome(message);
    } else if (message.type === "drain") {
      this.#lost(message.reconnect_ms);
    } else {
      this.#events.message(message);
    }
  }

  #lost(waitMs: number): void {
    this.#urls.push(this.#urls.shift() as string);
    this.#drop();
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
    // Any part of the wait, so that those whom one tracker lost do not all come back at once.
    this.#timer = setTimeout(() => this.#open(), waitMs * Math.random());
  }

  #drop(): void {
    this.#socket?.close();
    this.#socket = undefined;
    this.#isWelcome = false;
  }
}
