/** dash.js, which knows nothing of the SDK: its requests go through the service worker. */
import { consentSwitch, showSources } from "./sources.js";

const { Freshet, dashjs } = window;
const config = await (await fetch("/freshet.json")).json();
const video = document.getElementById("video");

const client = Freshet.createClient({
  tracker: config.tracker,
  origin: `${location.origin}/`,
  tenantKey: config.tenantKey,
});
client.serve();
if ("serviceWorker" in navigator) {
  // The worker lies at the top, so that it sees all requests of the site. On the first visit it has to take over.
  await navigator.serviceWorker.register("/freshet-worker.js");
  if (navigator.serviceWorker.controller === null) {
    await new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true }));
  }
}

// Playback needs no answer. It is waited for here so that the first tab has something to give to the second.
await client.askConsent();
dashjs.MediaPlayer().create().initialize(video, `/${config.dash}`, true);

showSources(client, document.getElementById("sources"));
consentSwitch(client, document.getElementById("consent"));
