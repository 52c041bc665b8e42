/** Published files: a part of the SDK that is loaded when the first of them is asked for. */
import { provideEd25519 } from "./identity.ts";

// As a script of its own it checks signatures by itself.
provideEd25519();

export { Files } from "./release/files.ts";
export { Releases } from "./release/release.ts";
export { serve } from "./worker/page.ts";
