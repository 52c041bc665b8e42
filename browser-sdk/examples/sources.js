/** Shows where a client's bytes come from, twice a second. */

const mb = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

/** Fills `table` from what `client` counts. */
export function showSources(client, table) {
  const show = () => {
    const { peer_bytes, sent_bytes, waste_bytes, origin_bytes, links } = client.stats();
    const http = Object.values(origin_bytes).reduce((sum, bytes) => sum + bytes, 0);
    const all = peer_bytes + http;
    const reasons = Object.entries(origin_bytes).filter(([, bytes]) => bytes > 0);
    const rows = [
      ["From other viewers", all === 0 ? "-" : `${mb(peer_bytes)} (${Math.round((100 * peer_bytes) / all)} %)`],
      ["Over HTTP", `${mb(http)}${reasons.length === 0 ? "" : ` (${reasons.map(([reason]) => reason).join(", ")})`}`],
      ["To other viewers", mb(sent_bytes)],
      ["Fetched in vain", mb(waste_bytes)],
      ["Links", String(links)],
      ["Consent", client.consent],
    ];
    table.replaceChildren(
      ...rows.map(([name, value]) => {
        const row = document.createElement("tr");
        const [head, cell] = [document.createElement("th"), document.createElement("td")];
        head.scope = "row";
        head.textContent = name;
        cell.textContent = value;
        row.append(head, cell);
        return row;
      }),
    );
  };
  show();
  return setInterval(show, 500);
}

/** A button that takes the viewer's word back, and gives it again. */
export function consentSwitch(client, button) {
  const show = () => (button.textContent = client.consent === "granted" ? "Stop sharing" : "Share with other viewers");
  button.addEventListener("click", () => client.setConsent(client.consent === "granted" ? "denied" : "granted"));
  client.on("consent", show);
  show();
}
