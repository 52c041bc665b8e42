/**
 * Ed25519 (RFC 8032) for browsers whose WebCrypto has none, in a file of its own that others never load.
 *
 * The time that BigInt takes depends on the numbers, so signing here may tell something of the key to who measures it
 * closely. That is accepted: the keys signed with are made for one session of one page, are never stored, and prove
 * nothing but that two messages come from the same page. Verifying has no secrets.
 */
import type { Ed25519, Signer } from "../protocol/key.ts";

/** A point as (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z. Coordinates may be negative until they are written. */
type Point = readonly [bigint, bigint, bigint, bigint];

/** The field's prime. */
const P = 2n ** 255n - 19n;
/** The order of the base point. */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
/** The curve's d. */
const D = (-121665n * power(121666n, P - 2n)) % P;
const ROOT_OF_MINUS_ONE = power(2n, (P - 1n) / 4n);
const ZERO: Point = [0n, 1n, 1n, 0n];
/** The base point: y is 4/5, x even. */
const BASE = pointOf(new Uint8Array(32).fill(0x66).fill(0x58, 0, 1)) as Point;

/**
 * Whether a signature matches, judged as `ring` and BoringSSL judge: S must be below the group's order, R must be the
 * very bytes that the equation without cofactor gives. A key may be any point, also one of small order or of an
 * unusual form: who uses such a key as their own only harms themselves.
 */
async function verify(key: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  const point = key.length === 32 ? pointOf(key) : undefined;
  const s = numberOf(signature.subarray(32));
  if (point === undefined || signature.length !== 64 || s >= L) return false;
  const h = await hashed(signature.subarray(0, 32), key, message);
  const [x, y, z, t] = times(point, h);
  const expected = bytesOfPoint(plus(times(BASE, s), [-x, y, z, -t]));
  return expected.every((byte, at) => byte === signature[at]);
}

/** The key pair of a 32-byte seed, which the caller takes from a good source. */
async function signer(seed: Uint8Array): Promise<Signer> {
  const expanded = await digest(seed);
  const [low, prefix] = [expanded.slice(0, 32), expanded.slice(32)];
  const secret = (numberOf(low) & ((1n << 254n) - 8n)) | (1n << 254n);
  const publicKey = bytesOfPoint(times(BASE, secret));
  const sign = async (message: Uint8Array) => {
    const r = await hashed(prefix, message);
    const commitment = bytesOfPoint(times(BASE, r));
    const h = await hashed(commitment, publicKey, message);
    return joined(commitment, bytesOf((r + h * secret) % L));
  };
  return { publicKey, sign };
}

/** What `key.ts` takes in WebCrypto's place. */
export const ed25519: Ed25519 = { verify, signer };

/** The sum of any two points; the formula of RFC 8032 5.1.4 has no exceptions. */
function plus([x1, y1, z1, t1]: Point, [x2, y2, z2, t2]: Point): Point {
  const a = (y1 - x1) * (y2 - x2);
  const b = (y1 + x1) * (y2 + x2);
  const c = 2n * D * t1 * t2;
  const d = 2n * z1 * z2;
  const [e, f, g, h] = [(b - a) % P, (d - c) % P, (d + c) % P, (b + a) % P];
  return [(e * f) % P, (g * h) % P, (f * g) % P, (e * h) % P];
}

function times(point: Point, scalar: bigint): Point {
  let sum = ZERO;
  for (const bit of scalar.toString(2)) {
    sum = plus(sum, sum);
    if (bit === "1") sum = plus(sum, point);
  }
  return sum;
}

function power(base: bigint, exponent: bigint): bigint {
  let product = 1n;
  for (const bit of exponent.toString(2)) {
    product = (product * product) % P;
    if (bit === "1") product = (product * base) % P;
  }
  return product;
}

/** The point with these bytes, if there is one (RFC 8032 5.1.3, which is stricter about forms that nobody writes). */
function pointOf(bytes: Uint8Array): Point | undefined {
  const number = numberOf(bytes);
  const y = number & ((1n << 255n) - 1n);
  const u = y * y - 1n;
  const v = D * y * y + 1n;
  // The candidate root of u/v.
  let x = (u * power(v, 3n) * power((u * power(v, 7n)) % P, (P - 5n) / 8n)) % P;
  if (!isZero(v * x * x - u)) x = (x * ROOT_OF_MINUS_ONE) % P;
  if (!isZero(v * x * x - u)) return undefined;
  x = positive(x);
  if ((x & 1n) !== number >> 255n) x = P - x;
  return [x, y, 1n, (x * y) % P];
}

function bytesOfPoint([x, y, z]: Point): Uint8Array<ArrayBuffer> {
  const inverse = power(z, P - 2n);
  return bytesOf(positive(y * inverse) | ((positive(x * inverse) & 1n) << 255n));
}

function positive(number: bigint): bigint {
  return ((number % P) + P) % P;
}

function isZero(number: bigint): boolean {
  return number % P === 0n;
}

/** The number with these bytes, the least first. */
function numberOf(bytes: Uint8Array): bigint {
  return bytes.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

function bytesOf(number: bigint): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: 32 }, (_, at) => Number((number >> BigInt(8 * at)) & 255n));
}

/** The hash of all parts in turn, as a scalar. */
async function hashed(...parts: readonly Uint8Array[]): Promise<bigint> {
  return numberOf(await digest(joined(...parts))) % L;
}

// What `bytes.ts` has too; its use here would make the rest of the SDK one more file.
function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

async function digest(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-512", bytes as Uint8Array<ArrayBuffer>));
}
