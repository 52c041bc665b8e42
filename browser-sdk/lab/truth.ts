/** Compares what players were handed with the files that were published. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { below } from "./answer.ts";
import { type Load } from "./player/report.ts";

/** Which loads have bytes that can be compared: playlists of live streams change, media and keys do not. */
const COMPARED: ReadonlySet<string> = new Set(["media-fragment", "key"]);

/** What players got of media below a folder that is served below a prefix. */
export class Truth {
  readonly #folder: string;
  readonly #prefix: string;
  readonly #hashes = new Map<string, Promise<string | undefined>>();

  constructor(folder: string, prefix: string) {
    this.#folder = folder;
    this.#prefix = prefix;
  }

  /** Loads whose bytes are not those of the file, or of no file at all. Throws if there was nothing to compare. */
  async wrong(loads: readonly Load[]): Promise<readonly Load[]> {
    const compared = loads.filter(({ type }) => COMPARED.has(type));
    if (compared.length === 0) throw new Error("no media was loaded, so nothing can be compared");
    const hashes = await Promise.all(compared.map((load) => this.#hash(load)));
    return compared.filter(({ sha256 }, i) => sha256 !== hashes[i]);
  }

  #hash({ url, range }: Load): Promise<string | undefined> {
    const path = decodeURIComponent(new URL(url).pathname);
    const place = `${path} ${range?.join("-") ?? ""}`;
    const known = this.#hashes.get(place) ?? this.#read(path, range);
    this.#hashes.set(place, known);
    return known;
  }

  async #read(path: string, range: Load["range"]): Promise<string | undefined> {
    const file = below(this.#folder, this.#prefix, path);
    const bytes = file === undefined ? undefined : await readFile(file).catch(() => undefined);
    if (!bytes) return undefined;
    return createHash("sha256").update(range ? bytes.subarray(...range) : bytes).digest("hex");
  }
}
