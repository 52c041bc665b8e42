/** An entry for the build: what needs Ed25519. */
export { createIdentity } from "../../src/identity.ts";
export { verify } from "../../src/protocol/key.ts";
