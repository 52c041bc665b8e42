/** The client that a page makes: joins swarms when it may, and hands out what the page's players and downloads use. */
import { Identity } from "./identity.ts";
import { loaderOf, type Loader, type Presentation } from "./hls/loader.ts";
import { Playhead } from "./hls/playhead.ts";
import { Network } from "./network.ts";
import { small } from "./origin.ts";
import { nowS } from "./clock.ts";
import { envelopeBytesMax } from "./protocol/envelope.ts";
import { parseContentName, type ContentName } from "./protocol/id.ts";
import { parsePublicKey, type PublicKey } from "./protocol/key.ts";
import { KEY_DOCUMENT_KIND, keysFor, openKeyDocument } from "./protocol/key_document.ts";
import { Session } from "./session/session.ts";
import { Entries } from "./stream/entries.ts";
import { Stream } from "./stream/stream.ts";
import { ORIGIN_REASONS, type OriginReason } from "./swarm/output.ts";
import type { Policy } from "./swarm/policy.ts";

/** What a client is made of. */
export interface ClientOptions {
  /** WebSocket address of the tracker. */
  readonly tracker: string;
  /** Base URL of the Freshet origin. */
  readonly origin: string;
  /** The tenant's public key, `ed25519:...`, which everything signed goes back to. */
  readonly tenantKey: string;
  /** The tenant's word about this viewer, where the tracker asks for one. */
  readonly token?: string;
  /** Whether the viewer agreed. */
  readonly consent?: "ask" | "granted" | "denied";
}

/** What a player is told apart from its URL. */
export interface HlsOptions {
  /** Name of the stream; needed where its media lies outside of the origin. */
  readonly stream?: string;
  /** The element that plays; found by itself where the page has one. */
  readonly video?: HTMLMediaElement;
}

/** Bytes kept for peers, beside what is being played. */
const KEPT_BYTES_MAX = 64 << 20;

export class Client {
  readonly #options: ClientOptions;
  readonly #origin: string;
  readonly #tenantKey: PublicKey;
  readonly #close = new AbortController();
  readonly #streams = new Map<ContentName, Promise<Stream | undefined>>();
  readonly #sessions: Session[] = [];
  #network: Promise<Network> | undefined;
  readonly #passed: number[] = ORIGIN_REASONS.map(() => 0);
  #consent: "ask" | "granted" | "denied";

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#origin = new URL(options.origin.endsWith("/") ? options.origin : `${options.origin}/`, location.href).href;
    this.#tenantKey = parsePublicKey(options.tenantKey);
    this.#consent = options.consent ?? "ask";
  }

  /** A loader class for one hls.js player: `new Hls({ loader: client.hls() })`. */
  hls({ stream, video }: HlsOptions = {}): new (config?: unknown) => Loader {
    const presentation: Presentation = {
      playhead: new Playhead(video === undefined ? undefined : () => video),
      firstPlaylist: undefined,
      stream: (firstPlaylist) => this.#stream(stream ?? this.#contentOf(firstPlaylist)),
      passed: (bytes, reason) => void ((this.#passed[ORIGIN_REASONS.indexOf(reason)] as number) += bytes),
    };
    return loaderOf(presentation);
  }

  /** Counts so far. */
  stats(): {
    readonly peer_bytes: number;
    readonly sent_bytes: number;
    readonly waste_bytes: number;
    readonly origin_bytes: Readonly<Record<OriginReason, number>>;
    readonly links: number;
  } {
    const totals = this.#sessions.map((session) => session.totals());
    const sum = (of: (total: (typeof totals)[number]) => number): number => totals.reduce((all, one) => all + of(one), 0);
    const origin = ORIGIN_REASONS.map((reason, at) => {
      return [reason, (this.#passed[at] as number) + sum((total) => total.origin_bytes[at] as number)] as const;
    });
    return {
      peer_bytes: sum((total) => total.peer_bytes),
      sent_bytes: sum((total) => total.sent_bytes),
      waste_bytes: sum((total) => total.waste_bytes),
      origin_bytes: Object.fromEntries(origin) as Record<OriginReason, number>,
      links: this.#sessions.reduce((all, { links }) => all + links.length, 0),
    };
  }

  /** Leaves all swarms; players go on over plain HTTP. */
  close(): void {
    this.#close.abort();
    for (const session of this.#sessions) session.close();
    this.#network?.then((network) => network.close(), () => undefined);
  }

  get #policy(): Policy {
    return {
      p2p: true,
      sharing: this.#consent === "granted",
      goal: "speed",
      upload_bytes_s_max: null,
      upload_bytes_max: null,
      offload_slack_permille: 500,
      reference_bytes_s_floor: 500_000,
    };
  }

  /** The content whose media lies at a URL of the origin. */
  #contentOf(url: string): string | undefined {
    const rest = url.startsWith(this.#origin) ? url.slice(this.#origin.length) : "";
    return /^(.+?)\/media\//.exec(rest)?.[1];
  }

  async #stream(name: string | undefined): Promise<Stream | undefined> {
    if (name === undefined || this.#consent !== "granted" || this.#close.signal.aborted) return undefined;
    const content = parseContentName(name);
    const known = this.#streams.get(content) ?? this.#join(content).catch(() => undefined);
    this.#streams.set(content, known);
    return known;
  }

  async #join(content: ContentName): Promise<Stream> {
    const identity = Identity.create();
    this.#network ??= identity.then(
      (own) => new Network(this.#options.tracker, own, this.#options.token, () => this.#consent === "granted"),
    );
    const { signal } = this.#close;
    const base = `${this.#origin}${content}/`;
    const envelope = await small(`${base}keys`, envelopeBytesMax(KEY_DOCUMENT_KIND), signal);
    const keys = await openKeyDocument(envelope, this.#tenantKey);
    const network = await this.#network;
    const session = new Session((await identity).order, this.#policy, KEPT_BYTES_MAX, {
      banned: (key) => network.ban(key),
      unlinked: (link) => network.unlinked(link),
      entry: (entry) => void stream.entry(entry),
      moved: () => undefined,
    });
    const stream = new Stream(content, session, new Entries(content, base, keysFor(keys, "stream", nowS()), signal));
    this.#sessions.push(session);
    const onEntry = (entry: Uint8Array): void => void stream.entry(entry);
    network.join(content, { session, trackers: keysFor(keys, "tracker", nowS()), onEntry });
    return stream;
  }
}

/** Makes a client. Nothing connects before there is consent. */
export function createClient(options: ClientOptions): Client {
  return new Client(options);
}
