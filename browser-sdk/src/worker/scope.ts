/** The part of a service worker's surroundings that is used here: the types of workers and of pages exclude each other. */

export interface WorkerClient {
  readonly id: string;
  postMessage(message: unknown, transfer?: readonly Transferable[]): void;
}

export interface WorkerEvent extends Event {
  waitUntil(done: Promise<unknown>): void;
}

/** A request of a page. */
export interface FetchEvent extends WorkerEvent {
  readonly request: Request;
  readonly clientId: string;
  respondWith(answer: Promise<Response>): void;
}

interface WorkerMessage extends Event {
  readonly data: unknown;
  readonly source: WorkerClient | null;
}

export interface WorkerScope {
  readonly clients: {
    get(id: string): Promise<WorkerClient | undefined>;
    matchAll(): Promise<readonly WorkerClient[]>;
    claim(): Promise<void>;
  };
  skipWaiting(): Promise<void>;
  addEventListener(type: "install" | "activate", listener: (event: WorkerEvent) => void): void;
  addEventListener(type: "fetch", listener: (event: FetchEvent) => void): void;
  addEventListener(type: "message", listener: (event: WorkerMessage) => void): void;
}

export const scope = globalThis as unknown as WorkerScope;
