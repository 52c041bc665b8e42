/** Streams as a browser hands them over, in parts of any size. */

/** These bytes, so many at a time; of type `bytes` where the reader may bring its own buffer. */
export function streamOf(bytes: Uint8Array, cut: number, type: "bytes" | undefined): ReadableStream<Uint8Array> {
  let at = 0;
  const pull = (controller: ReadableStreamDefaultController<Uint8Array> | ReadableByteStreamController): void => {
    // A stream of bytes takes its chunks for itself.
    const part = bytes.slice(at, at + cut);
    at += part.length;
    if (part.length > 0) controller.enqueue(part);
    if (at < bytes.length) return;
    controller.close();
    if ("byobRequest" in controller) controller.byobRequest?.respond(0);
  };
  return type === undefined ? new ReadableStream({ pull }) : new ReadableStream({ type, pull });
}
