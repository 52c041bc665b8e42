/** The one source of spread in the core: a fixed mix, so that Rust and TypeScript agree. */

/** The 32-bit finaliser of MurmurHash3 (Austin Appleby, public domain): every input bit reaches every output bit. */
export function mix32(value: number): number {
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
