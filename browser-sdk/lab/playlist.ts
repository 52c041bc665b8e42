/** Joins media playlists of equal form with a discontinuity between them. */

/** One playlist of several; the files of each lie in its folder. */
export function concatenated(playlists: readonly string[], folders: readonly string[]): string {
  const heads = linesOf(playlists[0] ?? "").filter((line) => OF_ALL.test(line));
  const parts = playlists.map((playlist, i) => partIn(folders[i] ?? ".", playlist));
  return [...heads, parts.join("\n#EXT-X-DISCONTINUITY\n"), "#EXT-X-ENDLIST", ""].join("\n");
}

/** Tags that hold for the whole playlist; `EXT-X-MAP` and `EXT-X-KEY` hold from where they stand. */
const OF_ALL = /^#(EXTM3U|EXT-X-(VERSION|TARGETDURATION|MEDIA-SEQUENCE|PLAYLIST-TYPE|INDEPENDENT-SEGMENTS))/;

function linesOf(playlist: string): readonly string[] {
  return playlist.split("\n").filter((line) => line !== "" && line !== "#EXT-X-ENDLIST");
}

function partIn(folder: string, playlist: string): string {
  return linesOf(playlist)
    .filter((line) => !OF_ALL.test(line))
    .map((line) => (line.startsWith("#") ? line.replace(/URI="([^"]+)"/, `URI="${folder}/$1"`) : `${folder}/${line}`))
    .join("\n");
}
