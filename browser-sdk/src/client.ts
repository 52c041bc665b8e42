/** The client that a page makes: asks the user, and hands out what the page's players use. */
import { uploadBudget, type UploadBudget } from "./budget.ts";
import { Conditions, type ConditionPolicy, type Verdict } from "./conditions.ts";
import { Consent, type Asker, type ConsentState } from "./consent/consent.ts";
import { textVersion } from "./consent/caps.ts";
import type { Diagnosis } from "./diagnose.ts";
import { Emitter, type Listener } from "./events.ts";
import { loaderOf, type Loader } from "./hls/loader.ts";
import { Playhead } from "./hls/playhead.ts";
import { parseContentName, type ContentName } from "./protocol/id.ts";
import { parsePublicKey } from "./protocol/key.ts";
import { addressOf, OWN } from "./release/address.ts";
import type { Ask } from "./release/files.ts";
import { ORIGIN_REASONS, type OriginReason } from "./swarm/output.ts";
import { Swarms, type Swarm, type SwarmEvents } from "./swarms.ts";

/** What a client is made of. */
export interface ClientOptions {
  /** WebSocket address of the tracker, or those of several: which of them is used first is a matter of the content. */
  readonly tracker: string | readonly string[];
  /** Base URL of the Freshet origin. */
  readonly origin: string;
  /** The tenant's public key, `ed25519:...`, which everything signed goes back to. */
  readonly tenantKey: string;
  /** The tenant's word about this viewer, where the tracker asks for one. */
  readonly token?: string;
  /** The site's own answer or way of asking. By default the user is asked by a small dialog of the SDK. */
  readonly consent?: ConsentState | Asker;
  /** What the user gives at most. */
  readonly limits?: Partial<UploadBudget>;
  /** When peers are not used although the user agreed. */
  readonly conditions?: Partial<ConditionPolicy>;
  /** Most bytes kept for peers, beside what is being played. Default 64 MiB. */
  readonly keptBytesMax?: number;
  /** Shows the site's page on privacy; the dialog then has a button for it. */
  readonly onMore?: () => void;
}

/** What a player is told apart from its URL. */
export interface HlsOptions {
  /** Name of the stream; needed where its media lies outside of the origin. */
  readonly stream?: string;
  /** The element that plays; found by itself where the page has one. */
  readonly video?: HTMLMediaElement;
}

/** What a client tells. */
export interface ClientEvents extends SwarmEvents {
  /** What the user said. */
  consent: ConsentState;
  /** Whether peers are used and served now. */
  verdict: Verdict;
}

/** Bytes so far, over all swarms. */
export interface Stats {
  readonly peer_bytes: number;
  /** Handed to peers. */
  readonly sent_bytes: number;
  /** Fetched and not used. */
  readonly waste_bytes: number;
  /** Fetched over HTTP, by reason. */
  readonly origin_bytes: Readonly<Record<OriginReason, number>>;
  readonly links: number;
}

const KEPT_BYTES_MAX = 64 << 20;
const TROUBLES_MAX = 20;
const MBIT_BYTES_S = 125_000;

/** A page's part in the swarms of one tenant. */
export class Client {
  readonly #origin: string;
  readonly #consent: Consent;
  readonly #conditions: Conditions;
  readonly #swarms: Swarms;
  readonly #events = new Emitter<ClientEvents>();
  readonly #passed: number[] = ORIGIN_REASONS.map(() => 0);
  /** Contents that were asked for. */
  readonly #wanted = new Set<ContentName>();
  readonly #close = new AbortController();
  readonly #supportId = crypto.randomUUID();
  #troubles: string[] = [];

  /** Throws where an option is not what it has to be. */
  constructor({ tracker, origin, tenantKey, token, ...options }: ClientOptions) {
    const budget = uploadBudget(options.limits);
    const caps = { capMbit: (budget.rateBytesS ?? 0) / MBIT_BYTES_S, capGb: Math.round((budget.totalBytes ?? 0) / 1e8) / 10 };
    this.#origin = new URL(origin.endsWith("/") ? origin : `${origin}/`, location.href).href;
    this.#consent = new Consent({
      consent: options.consent,
      ask: async (signal) => {
        const { showPrompt } = await import("./consent/prompt.ts");
        return showPrompt({ ...caps, onMore: options.onMore, signal });
      },
      textVersion: textVersion(caps),
    });
    this.#conditions = new Conditions(this.#consent, options.conditions);
    const trackers = [tracker].flat();
    const place = { trackers, origin: this.#origin, tenantKey: parsePublicKey(tenantKey), token };
    const keptBytesMax = options.keptBytesMax ?? KEPT_BYTES_MAX;
    const events = this.#events as unknown as Emitter<SwarmEvents>;
    const passed = (bytes: number): void => this.#count(bytes, "unlisted");
    this.#swarms = new Swarms(place, budget, keptBytesMax, this.#conditions, events, passed);
    this.#consent.on("change", (state) => this.#events.emit("consent", state));
    this.#conditions.on("change", (verdict) => {
      // Who agrees while something plays takes part at once, not only with its next segment.
      for (const content of this.#wanted) void this.#swarms.join(content);
      this.#events.emit("verdict", verdict);
    });
    this.#events.on("trouble", (trouble) => {
      this.#troubles = [...this.#troubles, trouble].slice(-TROUBLES_MAX);
    });
  }

  /** What the user said. */
  get consent(): ConsentState {
    return this.#consent.state;
  }

  /** Takes the user's word, where the site asks by itself or offers a switch. Withdrawn, all links close at once. */
  setConsent(state: ConsentState): void {
    this.#consent.set(state);
  }

  /** Asks the user, unless there is an answer. Players ask by themselves when they begin. */
  askConsent(): Promise<ConsentState> {
    return this.#consent.ask();
  }

  /** Whether peers are used and served now, and what speaks against it. */
  get verdict(): Verdict {
    return this.#conditions.verdict;
  }

  on<Name extends keyof ClientEvents>(name: Name, listener: Listener<ClientEvents[Name]>): void {
    this.#events.on(name, listener);
  }

  off<Name extends keyof ClientEvents>(name: Name, listener: Listener<ClientEvents[Name]>): void {
    this.#events.off(name, listener);
  }

  /** A loader class for one hls.js player: `new Hls({ loader: client.hls() })`. */
  hls({ stream, video }: HlsOptions = {}): new (config?: unknown) => Loader {
    return loaderOf({
      playhead: new Playhead(video === undefined ? undefined : () => video),
      firstPlaylist: undefined,
      stream: async (firstPlaylist) => {
        const name = stream ?? this.#contentOf(firstPlaylist);
        return name === undefined ? undefined : (await this.#swarm(parseContentName(name)))?.stream;
      },
      passed: (bytes, reason) => this.#count(bytes, reason),
    });
  }

  /**
   * Fetches as `fetch` does. A published file (`ORIGIN/CONTENT/files/VERSION/PATH`, or `@CHANNEL` in place of the
   * version) comes from the swarm, verified; everything else, and every doubt, over plain HTTP.
   */
  async fetch(url: string | URL, init: RequestInit = {}): Promise<Response> {
    const { method = "GET", headers, signal } = init;
    const at = new URL(url, location.href);
    const range = new Headers(headers).get("Range");
    const answer = method === "GET" ? await this.#answer(at, { range, signal }) : undefined;
    if (answer !== undefined) return answer;
    if (addressOf(this.#origin, at) !== undefined) at.hash = OWN;
    return fetch(at, init);
  }

  /**
   * Answers the service worker of this page, so that published files come from the swarm whatever asks for them: media
   * elements, images, WebAssembly. The site registers the worker. Does nothing in a browser without service workers.
   */
  serve(workers: ServiceWorkerContainer = navigator.serviceWorker): void {
    // Where the types promise them always, insecure pages and some private windows have none.
    if ((workers as ServiceWorkerContainer | undefined) === undefined) return;
    const { signal } = this.#close;
    import("./files.ts").then(
      ({ serve }) => serve(workers, this.#origin, (url, ask) => this.#answer(url, ask), signal),
      // The worker passes everything on, as long as no page answers.
      (error: unknown) => this.#events.emit("trouble", String(error)),
    );
  }

  /** Counts so far. */
  stats(): Stats {
    const totals = this.#swarms.totals();
    const sum = (of: (total: (typeof totals)[number]) => number): number => totals.reduce((all, one) => all + of(one), 0);
    const origin = ORIGIN_REASONS.map((reason, at) => {
      return [reason, (this.#passed[at] as number) + sum((total) => total.origin_bytes[at] as number)];
    });
    return {
      peer_bytes: sum((total) => total.peer_bytes),
      sent_bytes: sum((total) => total.sent_bytes),
      waste_bytes: sum((total) => total.waste_bytes),
      origin_bytes: Object.fromEntries(origin) as Stats["origin_bytes"],
      links: this.#swarms.sessions.reduce((all, { links }) => all + links.length, 0),
    };
  }

  /** One object for a support request. */
  async diagnose(): Promise<Diagnosis> {
    const links = this.#swarms.sessions.flatMap((session) => session.links);
    const { diagnose } = await import("./diagnose.ts");
    const known = {
      support_id: this.#supportId,
      consent: this.consent,
      verdict: this.verdict,
      tracker_up: this.#swarms.isTrackerUp,
      wires: links.map(({ wire, receivedBytes, sentBytes }) => {
        return { kind: wire.kind, received_bytes: receivedBytes, sent_bytes: sentBytes };
      }),
      stats: this.stats(),
      troubles: this.#troubles,
    };
    return diagnose(known, this.#swarms.stun);
  }

  /** Leaves all swarms; players go on over plain HTTP. */
  close(): void {
    this.#close.abort();
    this.#swarms.close();
    this.#conditions.close();
    this.#consent.close();
    this.#events.close();
  }

  #count(bytes: number, reason: OriginReason): void {
    (this.#passed[ORIGIN_REASONS.indexOf(reason)] as number) += bytes;
  }

  /** A swarm, where peers may be asked now. Who has not answered yet is asked. */
  async #swarm(content: ContentName): Promise<Swarm | undefined> {
    this.#wanted.add(content);
    if (this.consent === "ask") void this.#consent.ask();
    return this.#swarms.join(content);
  }

  /** The answer to a request for a published file; `undefined` where plain HTTP has to give it. */
  async #answer(url: URL, ask: Ask): Promise<Response | undefined> {
    const address = addressOf(this.#origin, url);
    const swarm = address && (await this.#swarm(address.content));
    const answer = address && (await swarm?.files().then((files) => files.answer(address, ask)).catch(() => undefined));
    return ask.signal?.aborted ? undefined : answer;
  }

  /** The content whose media lies at a URL of the origin. */
  #contentOf(url: string): string | undefined {
    const rest = url.startsWith(this.#origin) ? url.slice(this.#origin.length) : "";
    return /^(.+?)\/media\//.exec(rest)?.[1];
  }
}

/** Makes a client. Nothing connects before the user agreed. */
export function createClient(options: ClientOptions): Client {
  return new Client(options);
}
