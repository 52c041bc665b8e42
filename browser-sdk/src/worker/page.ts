/** The page's side of a service worker: answers what the worker asks with what the client fetches. */
import { isWrongBytes } from "../origin.ts";
import type { Ask } from "../release/files.ts";
import type { FileAsked, Head, Here, Part, Who } from "./messages.ts";

type Answer = (url: URL, ask: Ask) => Promise<Response | undefined>;

/** Tells the worker of this page that files below `base` can be had here, until `signal` aborts. */
export function serve(workers: ServiceWorkerContainer, base: string, answer: Answer, signal: AbortSignal): void {
  const greet = (): void => workers.controller?.postMessage({ freshet: "here", base } satisfies Here);
  workers.addEventListener("controllerchange", greet, { signal });
  workers.addEventListener(
    "message",
    ({ data, ports: [port] }: MessageEvent<Who | FileAsked | null>) => {
      if (data?.freshet === "who") greet();
      if (data?.freshet === "file" && port !== undefined) void hand(port, data, answer);
    },
    { signal },
  );
  workers.startMessages();
  greet();
}

async function hand(port: MessagePort, { url, range }: FileAsked, answer: Answer): Promise<void> {
  port.postMessage(true);
  const response = await answer(new URL(url), { range });
  if (response === undefined) return port.postMessage(null);
  const reader = response.body?.getReader();
  port.onmessage = async ({ data }) => {
    if (data !== 1) {
      port.close();
      return void reader?.cancel().catch(() => undefined);
    }
    try {
      const value = ((await reader?.read())?.value ?? null) as Part;
      port.postMessage(value, value === null ? [] : [(value as Uint8Array<ArrayBuffer>).buffer]);
    } catch (error) {
      port.postMessage((isWrongBytes(error) ? "wrong" : null) satisfies Part);
    }
  };
  port.postMessage({ status: response.status, headers: [...response.headers], url: response.url } satisfies Head);
}
