/**
 * The connection to the tracker: opened again and again while it is wanted, with a random wait that grows. What is in it
 * is soft state: after each welcome the owner announces anew.
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
  readonly #url: string;
  readonly #identity: Identity;
  readonly #token: string | undefined;
  readonly #events: TrackerEvents;
  #socket: WebSocket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #retryMs = RETRY_MS;
  #faults = 0;
  #isWelcome = false;
  #isClosed = false;

  constructor(url: string, identity: Identity, token: string | undefined, events: TrackerEvents) {
    this.#url = url;
    this.#identity = identity;
    this.#token = token;
    this.#events = events;
    this.#open();
  }

  /** Whether the tracker answers now. */
  get isUp(): boolean {
    return this.#isWelcome;
  }

  /** Sends a message, or drops it while the tracker is away. */
  send(message: ClientMessage): void {
    if (this.#isWelcome) this.#socket?.send(encodeMessage(message));
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#drop();
  }

  #open(): void {
    let socket: WebSocket;
    try {
      socket = new WebSocket(this.#url);
    } catch {
      // A policy of the page forbids it, now and later.
      return;
    }
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#heard(data).catch(() => this.#faulty());
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#lost(this.#retryMs);
    };
  }

  async #heard(data: unknown): Promise<void> {
    if (typeof data !== "string") return this.#faulty();
    const message = decodeServerMessage(data);
    if (message.type === "challenge") {
      const proof = await this.#identity.key.sign(trackerProofMessage(message.nonce));
      const versions = { version_min: TRACKER_VERSION, version_max: TRACKER_VERSION };
      const token = this.#token === undefined ? {} : { token: this.#token };
      const hello = { type: "hello", ...versions, key: this.#identity.key.public, proof, agent: AGENT, ...token } as const;
      this.#socket?.send(encodeMessage(hello));
    } else if (message.type === "welcome") {
      this.#isWelcome = true;
      this.#retryMs = RETRY_MS;
      this.#events.welcome(message);
    } else if (message.type === "drain") {
      this.#drop();
      this.#lost(Math.random() * message.reconnect_ms);
    } else {
      this.#events.message(message);
    }
  }

  #faulty(): void {
    this.#faults += 1;
    if (this.#faults > FAULTS_MAX) this.#socket?.close();
  }

  #lost(waitMs: number): void {
    this.#drop();
    if (this.#isClosed) return;
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
    // Half of the wait is random, so that those whom one tracker lost do not all come back at once.
    this.#timer = setTimeout(() => this.#open(), waitMs * (0.5 + Math.random() / 2));
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#isWelcome = false;
    this.#faults = 0;
    socket?.close();
  }
}
