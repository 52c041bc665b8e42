/** What support needs to know: a part of the SDK that is loaded when it is asked for. */
import { AGENT } from "./agent.ts";
import type { Stats } from "./client.ts";
import type { Verdict } from "./conditions.ts";
import type { ConsentState } from "./consent/consent.ts";

/**
 * What is between this page and the internet, as the tracker's two STUN ports see it (RFC 5780, 4.3): none; one whose
 * mapping holds for all, or another for each; none that lets UDP through; `unknown` while peers may not be used.
 */
export type Nat = "none" | "endpoint-independent" | "endpoint-dependent" | "udp-blocked" | "unknown";

/** Everything that support needs to know, and nothing that names the user or a peer. */
export interface Diagnosis {
  /** To be told to support; random, of this page view alone. */
  readonly support_id: string;
  readonly version: string;
  readonly browser: string;
  readonly supports: Readonly<Record<string, boolean>>;
  readonly consent: ConsentState;
  readonly verdict: Verdict;
  readonly tracker_up: boolean;
  readonly nat: Nat;
  readonly wires: readonly { readonly kind: string; readonly received_bytes: number; readonly sent_bytes: number }[];
  readonly stats: Stats;
  /** The last failures, with addresses taken out. */
  readonly troubles: readonly string[];
}

/** What of the browser the SDK can use. */
const APIS = ["RTCPeerConnection", "WebTransport", "MediaSource", "ManagedMediaSource"];
/** Addresses and hosts in messages: nobody but the page needs to see them. */
const ADDRESS = /\b(?:\d{1,3}\.){3}\d{1,3}\b|\b[\da-f]{0,4}(?::[\da-f]{0,4}){2,7}\b|\/\/[^\s/]+/gi;
/** Time for STUN. */
const STUN_MS = 3000;

/** Adds what the browser says, and looks at the NAT by the tracker's STUN servers `stun`, where there are any. */
export async function diagnose(
  known: Omit<Diagnosis, "version" | "browser" | "supports" | "nat">,
  stun: readonly string[],
): Promise<Diagnosis> {
  return {
    version: AGENT,
    browser: navigator.userAgent,
    supports: Object.fromEntries(APIS.map((name) => [name, name in globalThis])),
    ...known,
    nat: stun.length > 1 && "RTCPeerConnection" in globalThis ? await natBefore(stun) : "unknown",
    troubles: known.troubles.map((trouble) => trouble.replaceAll(ADDRESS, "…")),
  };
}

async function natBefore(stun: readonly string[]): Promise<Nat> {
  const connection = new RTCPeerConnection({ iceServers: [{ urls: [...stun] }] });
  /** What the servers saw, by foundation: candidates of one have the same socket behind them (RFC 8445, 5.1.1.3). */
  const mapped = new Map<string, Set<string>>();
  let isBlocked = false;
  try {
    await new Promise<void>((resolve) => {
      // Browsers ask for longer than that before they give up.
      const timer = setTimeout(() => {
        isBlocked = true;
        resolve();
      }, STUN_MS);
      connection.onicecandidateerror = () => (isBlocked = true);
      connection.onicecandidate = ({ candidate }) => {
        if (candidate?.type === "srflx") {
          const { address, port, foundation } = candidate;
          const seen = mapped.get(foundation ?? "") ?? new Set();
          mapped.set(foundation ?? "", seen.add(`${address} ${port}`));
        } else if (candidate === null) {
          clearTimeout(timer);
          resolve();
        }
      };
      connection.createDataChannel("");
      connection.setLocalDescription().catch(() => resolve());
    });
  } finally {
    connection.close();
  }
  const most = Math.max(0, ...[...mapped.values()].map(({ size }) => size));
  // Without a NAT, what the servers see is what is there already, and no candidate of its own.
  if (most === 0) return isBlocked ? "udp-blocked" : "none";
  return most === 1 ? "endpoint-independent" : "endpoint-dependent";
}
