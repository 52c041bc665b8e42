/** A service worker that does nothing but this, for sites that have none of their own. */
import { handle } from "./handle.ts";
import { scope } from "./scope.ts";

scope.addEventListener("install", () => void scope.skipWaiting());
scope.addEventListener("activate", (event) => event.waitUntil(scope.clients.claim()));
scope.addEventListener("fetch", (event) => void handle(event));
