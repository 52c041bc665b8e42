/** Ed25519 keys, in their text form: `ed25519:` followed by 43 characters of unpadded base64url. */
import { decodeBase64, encodeBase64, URL_SAFE } from "./base64.ts";
import { ProtocolError } from "./error.ts";
import { hashOf, type Branded, type KeyId } from "./id.ts";

/** Why a key or signature was refused. */
export type KeyCode = "key-algorithm" | "key-encoding" | "bad-signature";

/** A key that has not its form, or a signature that does not match. */
export class KeyError extends ProtocolError<KeyCode> {
  constructor(code: KeyCode) {
    super("key", code);
  }
}

/** A public Ed25519 key, as text. */
export type PublicKey = Branded<string, "PublicKey">;

const PREFIX = "ed25519:";
const KEY_BYTES = 32;

/** Reads a public key. Throws {@link KeyError}. */
export function parsePublicKey(text: string): PublicKey {
  if (!text.startsWith(PREFIX)) throw new KeyError("key-algorithm");
  const bytes = decodeBase64(text.slice(PREFIX.length), URL_SAFE);
  if (bytes?.length !== KEY_BYTES) throw new KeyError("key-encoding");
  return text as PublicKey;
}

/** The key whose 32 bytes are `bytes`. */
export function publicKeyOfBytes(bytes: Uint8Array): PublicKey {
  return `${PREFIX}${encodeBase64(bytes, URL_SAFE)}` as PublicKey;
}

/** The 32 bytes of a key. */
export function publicKeyBytes(key: PublicKey): Uint8Array<ArrayBuffer> {
  const bytes = decodeBase64(key.slice(PREFIX.length), URL_SAFE);
  if (bytes === undefined) throw new KeyError("key-encoding");
  return bytes;
}

/** The id by which tickets and reports name a key. */
export function keyId(key: PublicKey): Promise<KeyId> {
  return hashOf(publicKeyBytes(key));
}

/** Checks an Ed25519 signature (RFC 8032) over `message`. Throws {@link KeyError} when it does not match. */
export async function verify(key: PublicKey, message: Uint8Array, signature: Uint8Array): Promise<void> {
  const imported = await importKey(key);
  // DOM types want bytes that are not shared between threads; WebCrypto itself copies what it is given.
  const [signatureBytes, messageBytes] = [signature, message] as [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>];
  const good = await crypto.subtle.verify("Ed25519", imported, signatureBytes, messageBytes);
  if (!good) throw new KeyError("bad-signature");
}

/** Whether an Ed25519 signature over `message` matches, as {@link verify} checks it. */
export async function isSigned(key: PublicKey, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  try {
    await verify(key, message, signature);
    return true;
  } catch (error) {
    if (error instanceof KeyError) return false;
    throw error;
  }
}

async function importKey(key: PublicKey): Promise<CryptoKey> {
  try {
    return await crypto.subtle.importKey("raw", publicKeyBytes(key), "Ed25519", false, ["verify"]);
  } catch (error) {
    // Bytes that are no point of the curve: nothing verifies under them.
    if (error instanceof DOMException && error.name === "DataError") throw new KeyError("bad-signature");
    throw error;
  }
}

/** A private key, which never leaves WebCrypto. Who makes the pair brings the randomness. */
export class SigningKey {
  /** The public half. */
  readonly public: PublicKey;
  readonly #private: CryptoKey;

  private constructor(publicKey: PublicKey, privateKey: CryptoKey) {
    this.public = publicKey;
    this.#private = privateKey;
  }

  /** Takes an Ed25519 pair of WebCrypto; its private half need not be extractable. */
  static async of(pair: CryptoKeyPair): Promise<SigningKey> {
    const bytes = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
    return new SigningKey(publicKeyOfBytes(bytes), pair.privateKey);
  }

  /** Signature over `message`; the same input gives the same 64 bytes (RFC 8032). */
  async sign(message: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    const signature = await crypto.subtle.sign("Ed25519", this.#private, message as Uint8Array<ArrayBuffer>);
    return new Uint8Array(signature);
  }
}
