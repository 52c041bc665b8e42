/** What the browser tells about the device, its network and the tab. */
import { hasTransport, isCapable } from "./capable.ts";

/** What was sensed; what a browser does not tell is `undefined`. */
export interface Sensed {
  /** The user asked for little traffic. */
  readonly saveData: boolean;
  /** Kind of the network, as the Network Information API names it. */
  readonly network: string | undefined;
  /** Whether this is a phone or tablet. */
  readonly isMobile: boolean;
  readonly isHidden: boolean;
  /** The battery that feeds the device, from 0 to 1; `undefined` while it is charged, or where there is none. */
  readonly battery: number | undefined;
  /** Whether what peers need is there: a transport, and hashes. */
  readonly isSupported: boolean;
}

/** The senses. */
export interface Surroundings {
  read(): Sensed;
  /** Calls when something may have changed, until the returned function is called. */
  watch(changed: () => void): () => void;
}

/** https://www.w3.org/TR/battery-status/ */
interface Battery extends EventTarget {
  readonly charging: boolean;
  readonly level: number;
}

/** What only some browsers have, and the DOM types do not know. */
interface MoreNavigator {
  /** https://wicg.github.io/netinfo/ */
  readonly connection?: EventTarget & { readonly saveData?: boolean; readonly type?: string };
  getBattery?(): Promise<Battery>;
}

/** The senses of a page. */
export function pageSurroundings(): Surroundings {
  const { connection } = navigator as MoreNavigator;
  let battery: Battery | undefined;
  return {
    read: () => ({
      saveData: connection?.saveData === true,
      network: connection?.type,
      isMobile: isMobileAgent(navigator),
      isHidden: document.hidden,
      battery: battery?.charging === false ? battery.level : undefined,
      isSupported: hasTransport() && isCapable(),
    }),
    watch: (changed) => {
      const watching = new AbortController();
      const { signal } = watching;
      const heed = (target: EventTarget | undefined, event: string) => target?.addEventListener(event, changed, { signal });
      heed(connection, "change");
      heed(document, "visibilitychange");
      void batteryOf(navigator as MoreNavigator).then((found) => {
        // The answer may come after the end.
        if (signal.aborted) return;
        battery = found;
        heed(battery, "chargingchange");
        heed(battery, "levelchange");
        changed();
      });
      return () => watching.abort();
    },
  };
}

/** Tablets do not call themselves mobile, and an iPad says that it is a Mac, of which none can be touched. */
export function isMobileAgent({ userAgent, maxTouchPoints }: Pick<Navigator, "userAgent" | "maxTouchPoints">): boolean {
  return /Mobi|Android|iP(hone|ad|od)/.test(userAgent) || (maxTouchPoints > 1 && userAgent.includes("Macintosh"));
}

/** A page's permissions may forbid to ask. */
async function batteryOf(from: MoreNavigator): Promise<Battery | undefined> {
  try {
    return await from.getBattery?.();
  } catch {
    return undefined;
  }
}
