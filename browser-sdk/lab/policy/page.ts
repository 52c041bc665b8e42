/** A site's page that uses all of the SDK, as `docs/EMBED.md` says, and notes what its policy forbids. */
import type Hls from "hls.js";
import type * as sdk from "../../src/index.ts";

/** What the page needs to know. */
export interface SiteConfig {
  readonly tracker: readonly string[];
  readonly origin: string;
  readonly tenant_key: string;
  readonly media_url: string;
  /** A published file. */
  readonly file_url: string;
}

declare global {
  interface Window {
    /** The scripts of the CDN. */
    Freshet: typeof sdk;
    Hls: typeof Hls;
    site: typeof site;
  }
}

const violations: string[] = [];
let client: sdk.Client | undefined;

document.addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI, sourceFile, sample }) => {
  violations.push(`${effectiveDirective}: ${blockedURI} in ${sourceFile} ${sample}`);
});

const site = {
  /** Plays the stream to its end; the viewer is asked meanwhile. */
  async play({ tracker, origin, tenant_key, media_url }: SiteConfig): Promise<number> {
    const video = document.querySelector("video") as HTMLVideoElement;
    client = window.Freshet.createClient({ tracker, origin, tenantKey: tenant_key });
    // hls.js runs its worker from a blob, which a page with trusted types would have to allow.
    const hls = new window.Hls({ loader: client.hls() as never, enableWorker: false });
    const ended = new Promise<void>((resolve, reject) => {
      video.addEventListener("ended", () => resolve());
      hls.on(window.Hls.Events.ERROR, (_, { details, error }) => reject(new Error(`${details}: ${error.message}`)));
    });
    hls.loadSource(media_url);
    hls.attachMedia(video);
    await video.play();
    await ended;
    return video.currentTime;
  },
  /** Fetches a file with the client; its length. */
  fetch: async (url: string) => (await (await client?.fetch(url))?.arrayBuffer())?.byteLength,
  /** Fetches a file through a service worker that this page serves; its length. */
  async fetchThrough(url: string): Promise<number> {
    const workers = navigator.serviceWorker;
    const controlled = new Promise((resolve) => workers.addEventListener("controllerchange", resolve, { once: true }));
    client?.serve();
    // Where a worker's script comes from is the site's own word.
    const { trustedTypes } = window as unknown as { trustedTypes: Policies };
    const script = trustedTypes.createPolicy("site", { createScriptURL: () => "/freshet-worker.js" }).createScriptURL("");
    await workers.register(script);
    await controlled;
    return (await (await fetch(url)).arrayBuffer()).byteLength;
  },
  report: () => ({ violations, consent: client?.consent, stats: client?.stats() }),
};

/** https://www.w3.org/TR/trusted-types/, which the DOM types do not know. */
interface Policies {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string };
}

window.site = site;
