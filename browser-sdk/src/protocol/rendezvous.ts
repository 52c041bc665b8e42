/**
 * Which of several trackers a peer turns to first: rendezvous hashing. Peers of one content come to the same tracker
 * without asking anybody.
 */
import { utf8 } from "./bytes.ts";
import { hashOf, type ContentName } from "./id.ts";

/** The addresses of trackers in the order in which peers of a content try them. */
export async function rendezvousOrder(content: ContentName, trackers: readonly string[]): Promise<string[]> {
  const weigh = async (tracker: string): Promise<string> => (await hashOf(utf8(`${content}\n${tracker}`))) + tracker;
  const weighted = await Promise.all(trackers.map(weigh));
  return weighted.sort().map((text) => text.slice(64));
}
