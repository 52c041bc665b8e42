/** Notes everything that a loader hands to hls.js, with its hash, whatever class the loader is of. */
import { type HlsConfig, type LoaderContext } from "hls.js";
import { type Load, type Loaders } from "./report.ts";

const LOADS_MAX = 10_000;

type LoaderClass = HlsConfig["loader"];

export class Loads {
  total = 0;
  delivered_bytes = 0;
  readonly #loads: Promise<Load>[] = [];

  /** The same classes, watched. */
  watch({ loader, fLoader, pLoader }: Loaders, fallback: LoaderClass): Loaders {
    return {
      loader: this.#watched(loader ?? fallback),
      ...(fLoader && { fLoader: this.#watched(fLoader as LoaderClass) as unknown as NonNullable<Loaders["fLoader"]> }),
      ...(pLoader && { pLoader: this.#watched(pLoader as LoaderClass) as unknown as NonNullable<Loaders["pLoader"]> }),
    };
  }

  /** All that was noted, once its hashes are there. */
  async all(): Promise<readonly Load[]> {
    return Promise.all(this.#loads);
  }

  #watched(base: LoaderClass): LoaderClass {
    const note = this.#note.bind(this);
    return class extends base {
      constructor(config: HlsConfig) {
        super(config);
        // As own property: a loader may have its methods on the class or on each instance.
        const load = this.load.bind(this);
        this.load = (context, settings, callbacks) => {
          const began = performance.now();
          load(context, settings, {
            ...callbacks,
            onSuccess: (response, stats, answered, details) => {
              note(context, response.data, performance.now() - began);
              callbacks.onSuccess(response, stats, answered, details);
            },
          });
        };
      }
    };
  }

  #note({ type, url, rangeStart, rangeEnd }: LoaderContext, data: unknown, took_ms: number): void {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    if (!(bytes instanceof ArrayBuffer || bytes instanceof Uint8Array)) return;
    const length = bytes.byteLength;
    this.total += 1;
    if (type === FRAGMENT) this.delivered_bytes += length;
    if (this.#loads.length >= LOADS_MAX) return;
    // `digest` copies the bytes before it returns; hls.js may move them to its worker right after.
    const hashed = crypto.subtle.digest("SHA-256", bytes as BufferSource);
    const range = rangeEnd ? ([rangeStart ?? 0, rangeEnd] as const) : undefined;
    this.#loads.push(
      hashed.then((hash) => ({ type, url, ...(range && { range }), bytes: length, sha256: hex(hash), took_ms })),
    );
  }
}

/** The value of hls.js's `LoaderContextType.MEDIA_FRAGMENT`, which its builds keep to themselves. */
const FRAGMENT = "media-fragment";

function hex(bytes: ArrayBuffer): string {
  return [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
