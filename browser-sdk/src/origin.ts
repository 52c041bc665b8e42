/** HTTP: what pages fetch from origins and CDNs. No custom headers, so that no browser asks beforehand. */

/** Why the origin did not give what was asked for. */
export class OriginError extends Error {
  override readonly name = "OriginError";
  /** HTTP status; 0 where there was no answer. */
  readonly status: number;
  /** When to come back, where the origin said so. */
  readonly retryAfterUs: number | null;

  constructor(status: number, retryAfterUs: number | null, message: string) {
    super(message);
    this.status = status;
    this.retryAfterUs = retryAfterUs;
  }
}

/** Status of an {@link OriginError} about an answer whose bytes are not those that were signed. */
export const WRONG_BYTES = 200;

/** Whether it is an {@link OriginError} about wrong bytes; parts of the SDK have classes of their own. */
export const isWrongBytes = (error: unknown): boolean =>
  error instanceof Error && error.name === "OriginError" && (error as OriginError).status === WRONG_BYTES;
/** Time without a byte after which an answer counts as broken off. */
const IDLE_MS = 10_000;

/** Part of a resource, in bytes; up to its end where `end` is missing. */
export interface ByteRange {
  readonly start: number;
  readonly end?: number;
}

/** Fetches a resource, or a part of it. Throws {@link OriginError}. */
export async function open(
  url: string,
  range: ByteRange | undefined,
  signal: AbortSignal,
  cache: RequestCache = "default",
): Promise<Response> {
  const last = range?.end === undefined ? "" : String(range.end - 1);
  const headers = range === undefined ? {} : { Range: `bytes=${range.start}-${last}` };
  let response: Response;
  try {
    response = await fetch(url, { headers, signal, cache });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new OriginError(0, null, `no answer from ${new URL(url).host}`);
  }
  // A whole answer to a question about a part would be read from the wrong place.
  const expected = range === undefined ? response.ok : response.status === 206;
  if (expected) return response;
  response.body?.cancel().catch(() => undefined);
  const seconds = Number(response.headers.get("Retry-After"));
  const retryAfterUs = seconds > 0 && seconds < 3600 ? seconds * 1_000_000 : null;
  throw new OriginError(response.status, retryAfterUs, `${new URL(url).host} answers ${response.status}`);
}

/** Hands on the body part by part; a body that stands still is broken off. Throws {@link OriginError}. */
export async function read(response: Response, take: (part: Uint8Array) => void): Promise<void> {
  const reader = response.body?.getReader();
  for (;;) {
    const { value } = (await moving(reader, reader?.read())) ?? {};
    if (value === undefined) return;
    take(value);
  }
}

/** A buffer, and how much of it is filled. */
export interface Filled {
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly bytes: number;
}

/**
 * Reads a body into buffers of the caller, so that nothing is copied twice, and no garbage left, where the browser can.
 * The function that it returns fills a buffer further and gives it back, or `undefined` at the end; it throws
 * {@link OriginError}.
 */
export function filler({ body }: Response): (filled: Filled) => Promise<Filled | undefined> {
  let byob: ReadableStreamBYOBReader | undefined;
  try {
    byob = body?.getReader({ mode: "byob" });
  } catch {
    // Bodies are no byte streams here.
  }
  if (byob !== undefined) {
    return async ({ buffer, bytes }) => {
      const { value } = (await moving(byob, byob.read(buffer.subarray(bytes)))) ?? {};
      return value && { buffer: new Uint8Array(value.buffer), bytes: bytes + value.length };
    };
  }
  const reader = body?.getReader();
  let rest: Uint8Array | undefined = new Uint8Array(0);
  return async ({ buffer, bytes }) => {
    if (rest?.length === 0) rest = (await moving(reader, reader?.read()))?.value;
    const taken = rest?.subarray(0, buffer.length - bytes);
    if (taken === undefined) return undefined;
    rest = rest?.subarray(taken.length);
    buffer.set(taken, bytes);
    return { buffer, bytes: bytes + taken.length };
  };
}

/** What is read next, unless the body stands still. */
async function moving<T>(
  reader: Pick<ReadableStreamDefaultReader, "cancel"> | undefined,
  next: Promise<T> | undefined,
): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const idle = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new OriginError(0, null, "the origin stands still")), IDLE_MS);
  });
  try {
    return await Promise.race([next, idle]);
  } catch (error) {
    reader?.cancel().catch(() => undefined);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** A small document as a whole, at most `bytesMax`. Throws {@link OriginError}. */
export async function small(url: string, bytesMax: number, signal: AbortSignal): Promise<Uint8Array> {
  const response = await open(url, undefined, signal);
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes.length > bytesMax) throw new OriginError(200, null, "a document beyond its limit");
  return bytes;
}
