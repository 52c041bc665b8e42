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

/** A key pair outside WebCrypto. */
export interface Signer {
  /** The 32 bytes of the public half. */
  readonly publicKey: Uint8Array;
  /** Signature over `message`, 64 bytes. */
  sign(message: Uint8Array): Promise<Uint8Array<ArrayBuffer>>;
}

/** Ed25519 by other means than WebCrypto. */
export interface Ed25519 {
  verify(key: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean>;
  /** The pair of a 32-byte seed. */
  signer(seed: Uint8Array): Promise<Signer>;
}

let loadSubstitute: (() => Promise<Ed25519>) | undefined;

/** Says how Ed25519 is had where WebCrypto refuses it. Loading is the shell's; without a way to, the refusal stands. */
export function setEd25519(load: () => Promise<Ed25519>): void {
  loadSubstitute = load;
}

/** What `native` gives, or `substitute` where WebCrypto knows no Ed25519. */
export async function withEd25519<T>(native: () => Promise<T>, substitute: (by: Ed25519) => Promise<T>): Promise<T> {
  try {
    return await native();
  } catch (error) {
    const isMissing = error instanceof DOMException && error.name === "NotSupportedError";
    if (!isMissing || loadSubstitute === undefined) throw error;
    return substitute(await loadSubstitute());
  }
}

/** Checks an Ed25519 signature (RFC 8032) over `message`. Throws {@link KeyError} when it does not match. */
export async function verify(key: PublicKey, message: Uint8Array, signature: Uint8Array): Promise<void> {
  const isGood = await withEd25519(
    () => verifyNatively(key, message, signature),
    (by) => by.verify(publicKeyBytes(key), message, signature),
  );
  if (!isGood) throw new KeyError("bad-signature");
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

async function verifyNatively(key: PublicKey, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  const imported = await importKey(key);
  // DOM types want bytes that are not shared between threads; WebCrypto itself copies what it is given.
  const [signatureBytes, messageBytes] = [signature, message] as [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>];
  return crypto.subtle.verify("Ed25519", imported, signatureBytes, messageBytes);
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

/** A private key, which stays where it was made. Who makes the pair brings the randomness. */
export class SigningKey {
  /** The public half. */
  readonly public: PublicKey;
  /** Signature over a message; the same input gives the same 64 bytes (RFC 8032). */
  readonly sign: Signer["sign"];

  constructor({ publicKey, sign }: Signer) {
    this.public = publicKeyOfBytes(publicKey);
    this.sign = sign;
  }

  /** Takes an Ed25519 pair of WebCrypto; its private half need not be extractable. */
  static async of({ publicKey, privateKey }: CryptoKeyPair): Promise<SigningKey> {
    return new SigningKey({
      publicKey: new Uint8Array(await crypto.subtle.exportKey("raw", publicKey)),
      sign: async (message) =>
        new Uint8Array(await crypto.subtle.sign("Ed25519", privateKey, message as Uint8Array<ArrayBuffer>)),
    });
  }
}
