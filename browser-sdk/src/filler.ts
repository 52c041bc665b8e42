/** Reads streams into buffers of the caller, so that nothing is copied twice, and no garbage left, where browsers can. */

/** A buffer, and how much of it is filled. */
export interface Filled {
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly bytes: number;
}

export interface Filler {
  /** Fills a buffer further and gives back its memory, all of it, as another object; `undefined` at the end. */
  read(filled: Filled): Promise<Filled | undefined>;
  /** Wants no more. */
  cancel(): void;
}

export function filler(stream: ReadableStream<Uint8Array>): Filler {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = stream.getReader({ mode: "byob" });
  } catch {
    return fromChunks(stream.getReader());
  }
  return {
    async read({ buffer, bytes }) {
      const { done, value } = await reader.read(buffer.subarray(bytes));
      return done ? undefined : { buffer: new Uint8Array(value.buffer), bytes: bytes + value.length };
    },
    cancel: () => void reader.cancel().catch(() => undefined),
  };
}

/** In browsers whose streams bring chunks of their own. */
function fromChunks(reader: ReadableStreamDefaultReader<Uint8Array>): Filler {
  let rest: Uint8Array = new Uint8Array(0);
  return {
    async read({ buffer, bytes }) {
      while (rest.length === 0) {
        const { done, value } = await reader.read();
        if (done) return undefined;
        rest = value;
      }
      const part = rest.subarray(0, buffer.length - bytes);
      buffer.set(part, bytes);
      rest = rest.subarray(part.length);
      return { buffer: new Uint8Array(buffer.buffer), bytes: bytes + part.length };
    },
    cancel: () => void reader.cancel().catch(() => undefined),
  };
}
