/** Who this page is to its peers and trackers: a key of its own, for as long as it is open. */
import { type KeyId } from "./protocol/id.ts";
import { keyId, setEd25519, SigningKey, withEd25519 } from "./protocol/key.ts";

/** The key of a page. It is stored nowhere, so that visits cannot be told to be of one user. */
export interface Identity {
  readonly key: SigningKey;
  /** By which tickets and receipts name the key. */
  readonly keyId: KeyId;
}

/** Lets signatures be made and checked in browsers without Ed25519 of their own. To be called before either. */
export function provideEd25519(): void {
  setEd25519(async () => (await import("./ed25519/ed25519.ts")).ed25519);
}

/** Makes a new key. Rejects where the browser has no Ed25519 and its substitute cannot be loaded. */
export async function createIdentity(): Promise<Identity> {
  provideEd25519();
  const key = await withEd25519(
    async () => SigningKey.of((await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"])) as CryptoKeyPair),
    async (by) => new SigningKey(await by.signer(crypto.getRandomValues(new Uint8Array(32)))),
  );
  return { key, keyId: await keyId(key.public) };
}
