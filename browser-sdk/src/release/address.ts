/** Addresses of published files. */
import { parseContentName, type ContentName } from "../protocol/id.ts";
import type { RelPath } from "../protocol/path.ts";

/** What the URL of a published file says: `ORIGIN/CONTENT/files/VERSION/PATH`. */
export interface Address {
  readonly content: ContentName;
  /** A version, or a channel behind `@`. */
  readonly version: string;
  readonly path: RelPath;
  readonly query: string;
}

/**
 * At the end of the URLs of own requests for files. It goes to no server; a service worker sees it, and leaves them alone.
 */
export const OWN = "#freshet";

/** Reads the URL of a file; `undefined` where it is none of those below `origin`, which ends with `/`. */
export function addressOf(origin: string, { href, search }: URL): Address | undefined {
  const [plain = ""] = href.split(/[?#]/, 1);
  const [, content, version, path] = /^(.+?)\/files\/([^/]+)\/(.+)$/.exec(plain.slice(origin.length)) ?? [];
  if (!plain.startsWith(origin) || content === undefined || version === undefined || path === undefined) return undefined;
  try {
    // A path that no release may have is found in none.
    return { content: parseContentName(content), version, path: decodeURIComponent(path) as RelPath, query: search };
  } catch {
    return undefined;
  }
}
