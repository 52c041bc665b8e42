/** Whole numbers, as the Rust core counts: exact up to 2^53. */

/** The quotient without its remainder. */
export const quotient = (dividend: number, divisor: number): number => Math.floor(dividend / divisor);

/** `value`, but no less than `least` and no more than `most`. */
export const clamp = (value: number, least: number, most: number): number => Math.min(Math.max(value, least), most);
