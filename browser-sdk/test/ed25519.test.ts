/** Ed25519 without WebCrypto's: the same vectors, and what the two say of each other. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ed25519 } from "../src/ed25519/ed25519.ts";
import { createIdentity, provideEd25519 } from "../src/identity.ts";
import { hex, unhex, utf8 } from "../src/protocol/bytes.ts";
import { hashBytes, hashOf } from "../src/protocol/id.ts";
import { keyId, publicKeyBytes, publicKeyOfBytes, setEd25519, verify } from "../src/protocol/key.ts";
import { checkInvalid, checkValid } from "./check.ts";
import { readVectors } from "./vector.ts";

/** Lets WebCrypto refuse Ed25519 in all it does, as a browser without it. */
function withoutNative(): void {
  for (const method of ["generateKey", "importKey", "sign", "verify"] as const) {
    const native = crypto.subtle[method].bind(crypto.subtle) as (...given: unknown[]) => Promise<unknown>;
    const refusing = (...given: unknown[]) =>
      given.includes("Ed25519")
        ? Promise.reject(new DOMException("Unrecognized name.", "NotSupportedError"))
        : native(...given);
    vi.spyOn(crypto.subtle, method).mockImplementation(refusing as never);
  }
}

afterEach(() => void vi.restoreAllMocks());

describe.each(["key", "proof", "envelope", "ticket", "segment", "pointer", "key_document", "root"])("%s.json", (file) => {
  beforeEach(() => {
    withoutNative();
    provideEd25519();
  });

  const { valid, invalid } = readVectors(file);
  test.each(valid)("accepts: $name", (one) => checkValid(file, one));
  test.each(invalid)("refuses: $name", (one) => checkInvalid(file, one));
});

/** Natively judged, in the way of OpenSSL, whose judgement is that of `ring`. */
async function isGoodNatively(key: Uint8Array<ArrayBuffer>, message: Uint8Array<ArrayBuffer>, signature: string) {
  const imported = await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
  return crypto.subtle.verify("Ed25519", imported, unhex(signature), message);
}

test("signs and verifies as WebCrypto does", async () => {
  for (const at of Array.from({ length: 20 }).keys()) {
    const message = utf8("m".repeat(at * at));
    const { publicKey, sign } = await ed25519.signer(hashBytes(await hashOf(utf8(`seed ${at}`))));
    const key = Uint8Array.from(publicKey);
    const signature = hex(await sign(message));
    const judged = [await isGoodNatively(key, message, signature), await ed25519.verify(key, message, unhex(signature))];
    expect(judged).toEqual([true, true]);
    const bit = at * 25;
    const changed = unhex(signature);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect([await isGoodNatively(key, message, hex(changed)), await ed25519.verify(key, message, changed)]).toEqual([false, false]);
  }
});

const ONE = `01${"00".repeat(31)}`;
const ZEROS = "00".repeat(32);
const ORDER = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

/** Keys of small order (1, 2, 4) and unusual forms; what `ring` says of a signature that the equation allows. */
const ODD: readonly [string, string, string, boolean][] = [
  ["the neutral point as a key", ONE, ONE + ZEROS, true],
  ["its form with a sign", `01${"00".repeat(30)}80`, ONE + ZEROS, true],
  ["its form beyond the prime", `ee${"ff".repeat(30)}7f`, ONE + ZEROS, true],
  ["the same with a sign", `ee${"ff".repeat(31)}`, ONE + ZEROS, true],
  ["R with a sign that it must not have", ONE, `01${"00".repeat(30)}80${ZEROS}`, false],
  ["R beyond the prime", ONE, `ee${"ff".repeat(30)}7f${ZEROS}`, false],
  ["S of the group's order", ONE, ONE + ORDER, false],
  ["S one below it, which is another point", ONE, ONE + ORDER.replace("ed", "ec"), false],
  ["no point at all", `02${"00".repeat(31)}`, ONE + ZEROS, false],
];

test.each(ODD)("%s", async (_, key, signature, expected) => {
  const message = utf8("m");
  expect(await ed25519.verify(unhex(key), message, unhex(signature))).toBe(expected);
  expect(await isGoodNatively(unhex(key), message, signature)).toBe(expected);
});

test.each([
  [31, 64],
  [33, 64],
  [0, 64],
  [32, 63],
  [32, 65],
  [32, 0],
])("a key of %i bytes and a signature of %i are refused", async (keyLength, signatureLength) => {
  const key = unhex(ONE + ONE).subarray(0, keyLength);
  expect(await ed25519.verify(key, utf8("m"), unhex(ONE + ZEROS + ZEROS).subarray(0, signatureLength))).toBe(false);
});

describe.each([
  ["WebCrypto", false],
  ["its substitute", true],
])("an identity by %s", (_, isSubstituted) => {
  beforeEach(() => {
    if (isSubstituted) withoutNative();
  });

  test("signs by a key of its own, new each time", async () => {
    const [one, other] = [await createIdentity(), await createIdentity()];
    expect(one.key.public).not.toBe(other.key.public);
    expect(one.keyId).toBe(await keyId(one.key.public));
    const signature = await one.key.sign(utf8("m"));
    await verify(one.key.public, utf8("m"), signature);
    expect(await ed25519.verify(publicKeyBytes(one.key.public), utf8("m"), signature)).toBe(true);
    await expect(verify(other.key.public, utf8("m"), signature)).rejects.toMatchObject({ code: "bad-signature" });
  });
});

test("the private half of WebCrypto's pair cannot be taken out", async () => {
  const made = vi.spyOn(crypto.subtle, "generateKey");
  await createIdentity();
  const pair = (await made.mock.results[0]?.value) as CryptoKeyPair;
  expect([pair.privateKey.extractable, pair.privateKey.usages]).toEqual([false, ["sign"]]);
});

test("a substitute that cannot be loaded leaves the caller with the reason", async () => {
  withoutNative();
  const reason = new TypeError("Failed to fetch dynamically imported module");
  setEd25519(() => Promise.reject(reason));
  await expect(verify(publicKeyOfBytes(unhex(ONE)), utf8("m"), unhex(ONE + ZEROS))).rejects.toBe(reason);
});

test("other failures of WebCrypto are not taken for a missing Ed25519", async () => {
  const reason = new DOMException("", "OperationError");
  vi.spyOn(crypto.subtle, "verify").mockRejectedValue(reason);
  provideEd25519();
  await expect(verify(publicKeyOfBytes(unhex(ONE)), utf8("m"), unhex(ONE + ZEROS))).rejects.toBe(reason);
});
