/** What exactly a user agrees to: a text and the caps that it names. */

/** The caps that the text names. */
export interface PromptCaps {
  /** Most that is uploaded at a time, in Mbit/s. */
  readonly capMbit: number;
  /** Most that is uploaded while the page is open, in gigabytes. */
  readonly capGb?: number | undefined;
}

/** To be raised whenever a text of `text.ts` says something else. */
export const TEXT_VERSION = 1;

/** Names what is agreed to. */
export function textVersion({ capMbit, capGb = 0 }: PromptCaps): string {
  return `${TEXT_VERSION} ${capMbit} ${capGb}`;
}
