/**
 * A small HTTP server on loopback that counts what it sends, as slow and as wrong as it is told to be.
 *
 * Whose request it is, is read from the query `v` of its URL or, without one, of the page that made it: the lab's pages
 * send their whole URL as the referrer. URLs of media are then the same for all viewers.
 */
import { once } from "node:events";
import { mkdir, rename, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createWriteStream } from "node:fs";
import { type AddressInfo, type Socket } from "node:net";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as wait } from "node:timers/promises";
import { bare, below, fromFolder, fromMemory, fromUpstream, type Answer, type Source } from "./answer.ts";
import { Counts, kindOf, type Kind } from "./counts.ts";
import { faulty, Faults } from "./faults.ts";
import { Pace } from "./pace.ts";
import { tokened } from "./tokened.ts";

/** The line that a server hangs on. */
export interface Line {
  /** Shared by all requests; without it, as fast as loopback. */
  readonly rate_bytes_per_s?: number;
  /** A round trip, which each request waits for, and once more the first one of a connection. */
  readonly latency_ms?: number;
}

export interface SiteOptions {
  /** Documents in memory, by path. */
  readonly documents?: Readonly<Record<string, string | Uint8Array>>;
  /** Folders by the prefix of their paths, which ends with a slash. */
  readonly folders?: Readonly<Record<string, string>>;
  /** Folders are for viewers with a token only, as on many a CDN. */
  readonly isTokened?: boolean;
  /** Who is asked for everything else. */
  readonly upstream?: string;
  /** Takes files into the folders by PUT. */
  readonly writable?: boolean;
  readonly line?: Line;
  /** The header `Content-Security-Policy`. */
  readonly csp?: string;
  readonly kindOf?: (path: string) => Kind;
}

/** What is sent at once where no line is set. */
const PIECE_BYTES = 64 * 1024;

const CORS = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "*",
  "timing-allow-origin": "*",
};

export class StaticSite {
  readonly counts = new Counts();
  readonly faults = new Faults();
  /** Without a slash at its end. */
  readonly url: string;
  readonly #options: SiteOptions;
  readonly #sources: readonly Source[];
  readonly #server: Server;
  /** What each connection had sent when its last request was counted. */
  readonly #counted = new WeakMap<Socket, number>();
  #line: Line = {};
  #pace: Pace | undefined;

  private constructor(server: Server, options: SiteOptions) {
    this.#server = server;
    this.#options = options;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.line = options.line ?? {};
    this.#sources = [
      fromMemory(options.documents ?? {}),
      ...Object.entries(options.folders ?? {}).map(([prefix, folder]) => {
        return options.isTokened ? tokened(fromFolder(folder, prefix)) : fromFolder(folder, prefix);
      }),
      ...(options.upstream === undefined ? [] : [fromUpstream(options.upstream)]),
    ];
    server.on("request", (request, response) => void this.#serve(request, response));
  }

  static async start(options: SiteOptions): Promise<StaticSite> {
    const server = createServer({ keepAliveTimeout: 60_000 });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new StaticSite(server, options);
  }

  get line(): Line {
    return this.#line;
  }

  /** Holds for requests from now on. */
  set line(line: Line) {
    this.#line = line;
    this.#pace = line.rate_bytes_per_s === undefined ? undefined : new Pace(line.rate_bytes_per_s);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request;
    const closed = new AbortController();
    response.once("close", () => closed.abort());
    const url = new URL(request.url ?? "/", this.url);
    const path = decoded(url.pathname);
    const viewer = url.searchParams.get("v") ?? viewerOfPage(request.headers.referer) ?? undefined;
    const first = !this.#counted.has(socket);
    if (first) this.#counted.set(socket, 0);
    let body_bytes = 0;
    try {
      await wait((this.#line.latency_ms ?? 0) * (first ? 2 : 1), undefined, { signal: closed.signal });
      const fault = this.faults.take(path, viewer);
      const answer = fault?.kind === "status" ? bare(fault.status) : await this.#answer(request, path);
      response.writeHead(answer.status, {
        ...answer.headers,
        ...CORS,
        ...(this.#options.csp === undefined ? {} : { "content-security-policy": this.#options.csp }),
        "content-length": answer.body_bytes,
      });
      // The browser sees the head at once, also where the body stalls.
      response.flushHeaders();
      if (request.method === "HEAD") {
        response.end();
        return;
      }
      const pace = this.#pace;
      const body = faulty(answer.body(pace?.lot_bytes ?? PIECE_BYTES), answer.body_bytes, fault, closed.signal);
      const counted = async function* () {
        for await (const bytes of body) {
          await pace?.carry(bytes.length);
          body_bytes += bytes.length;
          yield bytes;
        }
      };
      await pipeline(Readable.from(counted()), response);
    } catch {
      // The viewer went away, or the body ends early on purpose: either way this connection is over.
      socket.destroy();
    } finally {
      // The next request of the connection may have begun: what was counted is looked up now, so that sums are right.
      const sent_bytes = socket.bytesWritten - (this.#counted.get(socket) ?? 0);
      this.#counted.set(socket, socket.bytesWritten);
      const kind = (this.#options.kindOf ?? kindOf)(path);
      this.counts.add({ path, kind, viewer, body_bytes, sent_bytes });
    }
  }

  async #answer(request: IncomingMessage, path: string): Promise<Answer> {
    const { method, headers, url = "/" } = request;
    switch (method) {
      case "GET":
      case "HEAD":
        for (const source of this.#sources) {
          const found = await source({ method, path, url, headers });
          if (found) return found;
        }
        return bare(404);
      case "OPTIONS":
        return bare(204, { "access-control-allow-headers": "*", "access-control-allow-methods": "GET, HEAD" });
      case "PUT":
        return this.#options.writable ? this.#put(request, path) : bare(405);
      case "DELETE":
        return this.#options.writable ? this.#delete(path) : bare(405);
      default:
        return bare(405);
    }
  }

  /** A file is there whole or not at all. */
  async #put(request: IncomingMessage, path: string): Promise<Answer> {
    const file = this.#file(path);
    if (file === undefined) return bare(403);
    await mkdir(dirname(file), { recursive: true });
    const taken = `${file}.taking`;
    await pipeline(request, createWriteStream(taken));
    await rename(taken, file);
    return bare(201);
  }

  async #delete(path: string): Promise<Answer> {
    const file = this.#file(path);
    if (file === undefined) return bare(403);
    await rm(file, { force: true });
    return bare(204);
  }

  #file(path: string): string | undefined {
    const folders = Object.entries(this.#options.folders ?? {});
    return folders.map(([prefix, folder]) => below(folder, prefix, path)).find((file) => file !== undefined);
  }
}

function viewerOfPage(referrer: string | undefined): string | null {
  return referrer !== undefined && URL.canParse(referrer) ? new URL(referrer).searchParams.get("v") : null;
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
