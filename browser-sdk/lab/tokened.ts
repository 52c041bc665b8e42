/** A CDN that knows its viewers by a token in the query: playlists hand it on to all that they list. */
import { bare, fromMemory, type Answer, type Source } from "./answer.ts";

/** The same documents for who has a token, and none for others. */
export function tokened(source: Source): Source {
  return async (asked) => {
    const answer = await source(asked);
    if (answer === undefined) return undefined;
    const token = new URL(asked.url, "http://cdn").searchParams.get("token");
    if (token === null) return bare(403);
    if (!asked.path.endsWith(".m3u8")) return answer;
    const listed = withToken(await textOf(answer), `?token=${encodeURIComponent(token)}`);
    return fromMemory({ [asked.path]: listed })(asked);
  };
}

function withToken(playlist: string, query: string): string {
  const lines = playlist.split("\n");
  const named = lines.map((line) => (line === "" || line.startsWith("#") ? line : `${line}${query}`));
  return named.join("\n").replaceAll(/URI="([^"]+)"/g, (_, uri: string) => `URI="${uri}${query}"`);
}

async function textOf({ body, body_bytes }: Answer): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of body(body_bytes)) parts.push(part);
  return Buffer.concat(parts).toString();
}
