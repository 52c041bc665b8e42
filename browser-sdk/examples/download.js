/** A file of a release, read as it comes: verified bytes from other pages and players first. */
import { consentSwitch, showSources } from "./sources.js";

const config = await (await fetch("/freshet.json")).json();
const client = window.Freshet.createClient({
  tracker: config.tracker,
  origin: `${location.origin}/`,
  tenantKey: config.tenantKey,
});
const [start, state, progress] = ["start", "state", "progress"].map((id) => document.getElementById(id));

start.addEventListener("click", async () => {
  start.disabled = true;
  await client.askConsent();
  const began = performance.now();
  const response = await client.fetch(`/${config.file}`);
  const size = Number(response.headers.get("Content-Length"));
  let read = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    read += value.length;
    progress.value = read / size;
  }
  state.textContent = `${(read / 1e6).toFixed(1)} MB in ${((performance.now() - began) / 1000).toFixed(1)} s`;
  start.disabled = false;
});

showSources(client, document.getElementById("sources"));
consentSwitch(client, document.getElementById("consent"));
