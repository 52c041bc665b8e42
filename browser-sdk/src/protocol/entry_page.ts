/**
 * Pages of entries: those of 64 sequences of a rendition, one behind another, as origins serve them (PROTOCOL.md 9).
 * Browsers read them; only origins write them.
 *
 *     entry page = entry:bytes*
 */
import { ENTRY_PAGE_BYTES_MAX, ENTRY_PAGE_ENTRIES_MAX, SEGMENT_ENTRY_BYTES_MAX } from "./limits.ts";
import { Reader, WireError } from "./wire.ts";

/**
 * The entries of a page, each to be opened by itself: one that is not good spoils no other. Throws {@link WireError}.
 */
export function decodeEntryPage(bytes: Uint8Array): readonly Uint8Array[] {
  if (bytes.length > ENTRY_PAGE_BYTES_MAX) throw new WireError("over-limit", "entry page size");
  const reader = new Reader(bytes);
  const entries: Uint8Array[] = [];
  while (reader.remaining > 0) {
    if (entries.length === ENTRY_PAGE_ENTRIES_MAX) throw new WireError("over-limit", "number of entries");
    entries.push(reader.bytesMax(SEGMENT_ENTRY_BYTES_MAX, "entry size"));
  }
  return entries;
}
