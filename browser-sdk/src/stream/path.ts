/** Paths of a stream: where a URL lies, whichever host and token it has (PROTOCOL.md 9). */

/**
 * The path of `url` as entries name it: below the folder of the stream's first playlist, or from `/` on. Neither host nor
 * query counts, so several CDNs and a token per viewer give one stream.
 */
export function streamPath(firstPlaylist: string, url: string): string {
  const path = new URL(url, firstPlaylist).pathname;
  const first = new URL(firstPlaylist).pathname;
  const folder = first.slice(0, first.lastIndexOf("/") + 1);
  return path.startsWith(folder) && path.length > folder.length ? path.slice(folder.length) : path;
}
