/** Who this page is to its peers: a signing key that lives as long as the page. */
import { keyId, SigningKey, type PublicKey } from "./protocol/key.ts";
import { prefix32, type KeyId } from "./protocol/id.ts";

export class Identity {
  readonly id: KeyId;
  readonly #key: SigningKey;

  private constructor(key: SigningKey, id: KeyId) {
    this.#key = key;
    this.id = id;
  }

  /** A fresh identity. */
  static async create(): Promise<Identity> {
    const pair = (await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"])) as CryptoKeyPair;
    const key = await SigningKey.of(pair);
    return new Identity(key, await keyId(key.public));
  }

  get key(): PublicKey {
    return this.#key.public;
  }

  /** This peer's place among its neighbours. */
  get order(): number {
    return prefix32(this.id);
  }

  sign(message: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    return this.#key.sign(message);
  }
}
