/** Media types by the ending of a file's name, as origins give them. */

/** For each kind its types; where an ending is not the type's own name, the endings follow it. */
const TYPES =
  "text css html,html,htm javascript,js,mjs plain,txt vtt|application json wasm xml dash+xml,mpd vnd.apple.mpegurl,m3u8|" +
  "image gif jpeg,jpeg,jpg png svg+xml,svg webp|audio mp4,m4a mpeg,mp3 ogg|video mp4,mp4,m4v iso.segment,m4s mp2t,ts webm";

export function mediaTypeOf(path: string): string {
  const ending = /\.([^./]+)$/.exec(path)?.[1]?.toLowerCase();
  for (const kinds of TYPES.split("|")) {
    const [kind, ...types] = kinds.split(" ");
    for (const type of types) {
      const [name, ...endings] = type.split(",");
      const isIt = endings.length === 0 ? ending === name : endings.includes(ending ?? "");
      if (isIt) return `${kind}/${name}${kind === "text" ? "; charset=utf-8" : ""}`;
    }
  }
  return "application/octet-stream";
}
