/** What of hls.js a loader meets. Only shapes: the SDK depends on no version of it. */

export interface LoaderStats {
  aborted: boolean;
  loaded: number;
  retry: number;
  total: number;
  chunkCount: number;
  bwEstimate: number;
  loading: { start: number; first: number; end: number };
  parsing: { start: number; end: number };
  buffering: { start: number; first: number; end: number };
}

/** A fragment of a media playlist. */
export interface Fragment {
  readonly sn: number | "initSegment";
  readonly duration: number;
  readonly start: number;
  /** URL of the playlist. */
  readonly baseurl: string;
}

export interface LoaderContext {
  readonly url: string;
  readonly type?: string;
  readonly responseType: string;
  readonly rangeStart?: number;
  readonly rangeEnd?: number;
  readonly frag?: Fragment;
  readonly part?: unknown;
}

export interface LoaderConfiguration {
  readonly loadPolicy?: { readonly maxTimeToFirstByteMs: number; readonly maxLoadTimeMs: number };
  readonly timeout?: number;
}

type Told = (stats: LoaderStats, context: LoaderContext, details: unknown) => void;

export interface LoaderCallbacks {
  readonly onSuccess: (
    response: { url: string; data: string | ArrayBuffer | object; code: number },
    stats: LoaderStats,
    context: LoaderContext,
    details: unknown,
  ) => void;
  readonly onError: (
    error: { code: number; text: string },
    context: LoaderContext,
    details: unknown,
    stats: LoaderStats,
  ) => void;
  readonly onTimeout: Told;
  readonly onAbort?: Told;
  readonly onProgress?: (stats: LoaderStats, context: LoaderContext, data: ArrayBuffer, details: unknown) => void;
}
