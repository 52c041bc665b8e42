/** Published files of a content, as answers to requests for them. */
import { open } from "../origin.ts";
import { utf8 } from "../protocol/bytes.ts";
import { hashOf } from "../protocol/id.ts";
import type { RelPath } from "../protocol/path.ts";
import type { Session } from "../session/session.ts";
import { OWN, type Address } from "./address.ts";
import { Body, type Source } from "./body.ts";
import { rangeOf, runAt } from "./file.ts";
import { mediaTypeOf } from "./media_type.ts";
import type { Release, Releases } from "./release.ts";

/** What a request for a file says beside its URL. */
export interface Ask {
  /** The header `Range`. */
  readonly range: string | null;
  readonly signal?: AbortSignal | null | undefined;
}

/** Who hears of files. */
export interface FilesEvents {
  /** Peers with this release are wanted. */
  opened(release: Release): void;
  /** Bytes came over plain HTTP. */
  passed(bytes: number): void;
}

export class Files {
  readonly #base: string;
  readonly #releases: Releases;
  readonly #session: Session;
  readonly #events: FilesEvents;

  /** `base` is the URL of the content at its origin, with `/` at the end. */
  constructor(base: string, releases: Releases, session: Session, events: FilesEvents) {
    this.#base = base;
    this.#releases = releases;
    this.#session = session;
    this.#events = events;
  }

  /** Answers as the origin would, with bytes from the swarm. Rejects where the file cannot be found. */
  async answer({ version, path, query }: Address, { range, signal }: Ask): Promise<Response> {
    const release = await this.#releases.open(version);
    const { size } = await this.#releases.part(release, path, 0);
    const url = `${this.#base}files/${release.root.version}/${encodeURI(path).replace(/#/g, "%23")}${query}`;
    const source = this.#source(release, path, size, url + OWN);
    const asked = rangeOf(range, size);
    const { start, end } = asked ?? { start: 0, end: size };
    const headers = new Headers({
      "Accept-Ranges": "bytes",
      "Content-Type": mediaTypeOf(path),
      ETag: `"${(await hashOf(utf8(`${release.id}\n${path}`))).slice(0, 32)}"`,
    });
    let status = 200;
    if (asked !== undefined) {
      status = start < end ? 206 : 416;
      headers.set("Content-Range", `bytes ${start < end ? `${start}-${end - 1}` : "*"}/${size}`);
    }
    headers.set("Content-Length", String(end - start));
    const body = start < end ? Body.stream(source, { start, end }, signal) : "";
    return Object.defineProperty(new Response(body, { status, headers }), "url", { value: url });
  }

  /** Where the bytes of a file come from. */
  #source(release: Release, path: RelPath, size: number, url: string): Source {
    const { id, root } = release;
    const shelf = this.#session.shelf(id, (number, sharing) => {
      return { type: "release", release: number, root: id, chunks: root.chunks, sharing };
    });
    if (shelf === undefined) throw new Error("more releases than a link can name");
    this.#events.opened(release);
    return {
      run: async (byte) => {
        const run = runAt(await this.#releases.part(release, path, byte), byte);
        if (run === undefined) throw new Error("the parts of the file do not join");
        return run;
      },
      read: ({ position, start, end, chunks }, deadlineUs, signal, delivery) => {
        const segment = this.#session.segment(shelf, position, chunks, { url, offset: start, isWhole: end - start === size });
        return this.#session.read(segment, deadlineUs, signal, delivery);
      },
      plain: (range, signal) => open(url, range, signal),
      passed: (bytes) => this.#events.passed(bytes),
    };
  }
}
