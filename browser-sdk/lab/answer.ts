/** Where a server's answers come from: documents in memory, folders, or another server behind it. */
import { open, stat } from "node:fs/promises";
import { request, type IncomingHttpHeaders } from "node:http";
import { extname, join, normalize, sep } from "node:path";

export interface Asked {
  readonly method: "GET" | "HEAD";
  /** Decoded, without the query. */
  readonly path: string;
  /** As sent, with the query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body_bytes: number;
  /** The body in pieces of at most this many bytes. */
  body(piece_bytes: number): AsyncIterable<Uint8Array>;
}

/** An answer, or nothing if it has no such document. */
export type Source = (asked: Asked) => Promise<Answer | undefined>;

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".m3u8": "application/vnd.apple.mpegurl",
  ".mpd": "application/dash+xml",
  ".ts": "video/mp2t",
  ".m4s": "video/iso.segment",
  ".mp4": "video/mp4",
};

export function typeOf(path: string): string {
  return TYPES[extname(path)] ?? "application/octet-stream";
}

/** An answer without a document. */
export function bare(status: number, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers, body_bytes: 0, body: nothing };
}

/** Documents in memory, by path. */
export function fromMemory(documents: Readonly<Record<string, string | Uint8Array>>): Source {
  return async ({ path }) => {
    const found = documents[path];
    if (found === undefined) return undefined;
    const bytes = typeof found === "string" ? new TextEncoder().encode(found) : found;
    return {
      status: 200,
      headers: { "content-type": typeOf(path), "cache-control": "no-cache" },
      body_bytes: bytes.length,
      body: (piece_bytes) => pieces(bytes, piece_bytes),
    };
  };
}

/** The path of a document below a folder, or nothing if the request's path leads out of it. */
export function below(folder: string, prefix: string, path: string): string | undefined {
  if (!path.startsWith(prefix)) return undefined;
  const file = normalize(join(folder, path.slice(prefix.length)));
  return file.startsWith(folder + sep) ? file : undefined;
}

/** Files below a folder, and ranges of them. */
export function fromFolder(folder: string, prefix: string): Source {
  return async ({ path, headers }) => {
    const file = below(folder, prefix, path);
    const found = file === undefined ? undefined : await stat(file).catch(() => undefined);
    if (file === undefined || !found?.isFile()) return undefined;
    const range = rangeOf(headers.range, found.size);
    if (range === "none") return bare(416, { "content-range": `bytes */${found.size}` });
    const [first, end] = range ?? [0, found.size];
    return {
      status: range ? 206 : 200,
      headers: {
        "content-type": typeOf(file),
        "accept-ranges": "bytes",
        // Playlists of live streams change; what they name does not.
        "cache-control": file.endsWith(".m3u8") ? "no-cache" : "public, max-age=3600",
        ...(range ? { "content-range": `bytes ${first}-${end - 1}/${found.size}` } : {}),
      },
      body_bytes: end - first,
      body: (piece_bytes) => partOf(file, first, end, piece_bytes),
    };
  };
}

const FORWARDED = ["range", "accept", "content-type", "origin", "access-control-request-headers"] as const;

/** Whatever another server answers, so that what it sends can be counted and slowed down. */
export function fromUpstream(base: string): Source {
  return ({ method, url, headers }) =>
    new Promise((resolve, reject) => {
      const kept = FORWARDED.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]]));
      const asked = request(new URL(url, base), { method, headers: Object.fromEntries(kept) }, (answer) => {
        const length = Number(answer.headers["content-length"] ?? 0);
        const shown = Object.entries(answer.headers).flatMap(([name, value]) =>
          typeof value === "string" && !HOP_BY_HOP.has(name) ? [[name, value] as const] : [],
        );
        resolve({
          status: answer.statusCode ?? 502,
          headers: Object.fromEntries(shown),
          body_bytes: length,
          body: async function* (piece_bytes) {
            for await (const bytes of answer) yield* pieces(bytes as Uint8Array, piece_bytes);
          },
        });
      });
      asked.on("error", reject);
      asked.end();
    });
}

const HOP_BY_HOP = new Set(["connection", "keep-alive", "transfer-encoding", "date"]);

/** The first byte and the end of a single range; nothing without one; `none` if the file has no such bytes. */
function rangeOf(header: string | undefined, size: number): readonly [number, number] | "none" | undefined {
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(header ?? "") ?? [];
  if (from === undefined || to === undefined || (from === "" && to === "")) return undefined;
  const first = from === "" ? Math.max(0, size - Number(to)) : Number(from);
  const end = from === "" || to === "" ? size : Math.min(size, Number(to) + 1);
  return first < end ? [first, end] : "none";
}

async function* partOf(file: string, first: number, end: number, piece_bytes: number): AsyncIterable<Uint8Array> {
  const handle = await open(file);
  try {
    for (let at = first; at < end; ) {
      const piece = new Uint8Array(Math.min(piece_bytes, end - at));
      const { bytesRead } = await handle.read(piece, 0, piece.length, at);
      if (bytesRead === 0) throw new Error(`${file} became shorter while it was sent`);
      yield piece.subarray(0, bytesRead);
      at += bytesRead;
    }
  } finally {
    await handle.close();
  }
}

async function* pieces(bytes: Uint8Array, piece_bytes: number): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += piece_bytes) yield bytes.subarray(at, at + piece_bytes);
}

async function* nothing(): AsyncIterable<Uint8Array> {}
