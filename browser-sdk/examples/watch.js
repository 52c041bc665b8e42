/** hls.js with the SDK: a film, or with `?live` a live stream. */
import { consentSwitch, showSources } from "./sources.js";

const { Freshet, Hls } = window;
const config = await (await fetch("/freshet.json")).json();
const video = document.getElementById("video");

const client = Freshet.createClient({
  tracker: config.tracker,
  origin: `${location.origin}/`,
  tenantKey: config.tenantKey,
});
const name = location.search === "?live" ? config.live : config.film;
const source = `/${name}/media/master.m3u8`;

// Playback needs no answer. It is waited for here so that the first tab has something to give to the second.
await client.askConsent();

if (Hls.isSupported()) {
  const hls = new Hls({ loader: client.hls({ video }) });
  hls.loadSource(source);
  hls.attachMedia(video);
} else {
  // A browser that plays HLS by itself needs no help, and takes none.
  video.src = source;
}
video.play().catch(() => undefined);

showSources(client, document.getElementById("sources"));
consentSwitch(client, document.getElementById("consent"));
