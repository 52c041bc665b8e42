/** Drives the page that fetches files, from outside. */
import type { Tab } from "../browser.ts";
import type { FileAsk, FileReport } from "./page.ts";

export const get = ({ page }: Tab, ask: FileAsk): Promise<FileReport> => page.evaluate((what) => window.files.fetch(what), ask);

export const stats = ({ page }: Tab) => page.evaluate(() => window.files.stats());

/** What a report says of a body that is whole. */
export function expected(bytes: Uint8Array): Pick<FileReport, "bytes" | "sums" | "error"> {
  const sums: [number, number] = [0, 0];
  for (let at = 0; at < bytes.length; at += 1) (sums[at % 2] as number) += bytes[at] as number;
  return { bytes: bytes.length, sums, error: null };
}
