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
export async function read({ body }: Response, take: (part: Uint8Array) => void): Promise<void> {
  const reader = body?.getReader();
  const cancel = (): void => void reader?.cancel().catch(() => undefined);
  for (;;) {
    const { value } = (await moving(reader?.read(), cancel)) ?? {};
    if (value === undefined) return;
    try {
      take(value);
    } catch (error) {
      cancel();
      throw error;
    }
  }
}

/** What is read next; a body that stands still is broken off. Throws {@link OriginError}. */
export async function moving<T>(next: Promise<T> | undefined, cancel: () => void): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const idle = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      cancel();
      reject(new OriginError(0, null, "the origin stands still"));
    }, IDLE_MS);
  });
  try {
    return await Promise.race([next, idle]);
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
