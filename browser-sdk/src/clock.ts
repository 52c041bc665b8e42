/** The one clock of the shell. */

/** Microseconds since the page began, never going back; what the core is driven with. */
export const nowUs = (): number => Math.floor(performance.now() * 1000);

/** Unix seconds. */
export const nowS = (): number => Math.floor(Date.now() / 1000);
