/** Hello and Proof: who the other side of a fresh wire is, alike on all transports (PROTOCOL.md 7). */
import { AGENT } from "../agent.ts";
import type { Identity } from "../identity.ts";
import { commonVersion, PEER_VERSION, type Frame, type Hello } from "../protocol/frame.ts";
import type { KeyId } from "../protocol/id.ts";
import { isSigned, keyId, type PublicKey } from "../protocol/key.ts";
import { proofMessage, type LinkBinding, type Nonces, type Side } from "../protocol/ticket.ts";
import type { Wire } from "./wire.ts";

/** Time for both proofs. */
export const HELLO_MS = 5000;

/** What this side brings. */
export interface Introduction {
  readonly identity: Identity;
  readonly ticket: Uint8Array;
  /** The peer that the tracker named. */
  readonly expected: KeyId;
  /** Whether a key may link with a ticket. Throws where not. */
  admit(key: PublicKey, ticket: Uint8Array): Promise<void>;
}

/**
 * Runs Hello and Proof over a wire; `next` gives the frames of the other side one by one. Returns the time of one round
 * trip in microseconds, at most. Throws when the other side is not whom it says.
 */
export async function introduce(
  wire: Wire,
  own: Introduction,
  next: () => Promise<Frame>,
  nowUs: () => number,
): Promise<number> {
  const nonce = crypto.getRandomValues(new Uint8Array(32));
  const versions = { version_min: PEER_VERSION, version_max: PEER_VERSION, features: 0 };
  // The other's proof answers this Hello, so it takes a round trip at least.
  const sentUs = nowUs();
  wire.send({ type: "hello", ...versions, nonce, key: own.identity.key.public, ticket: own.ticket, agent: AGENT });
  const hello = await next();
  if (hello.type !== "hello") throw new Error("another frame came instead of Hello");
  await judge(hello, own);

  // Only who may link gets a signature, so strangers learn nothing from it.
  const proofs = (side: Side, nonces: Nonces): Uint8Array[] =>
    wire.bindings.map((binding: LinkBinding) => proofMessage(side, nonces, binding));
  const [message] = proofs(wire.side, { theirs: hello.nonce, own: nonce });
  wire.send({ type: "proof", signature: await own.identity.key.sign(message as Uint8Array) });
  const proof = await next();
  if (proof.type !== "proof") throw new Error("another frame came instead of Proof");
  const other = wire.side === "dialer" ? "acceptor" : "dialer";
  for (const theirs of proofs(other, { theirs: nonce, own: hello.nonce })) {
    if (await isSigned(hello.key, theirs, proof.signature)) return Math.max(nowUs() - sentUs, 1000);
  }
  throw new Error("the proof does not match: another key, or a relay in the middle");
}

async function judge(hello: Hello, { identity, expected, admit }: Introduction): Promise<void> {
  if (commonVersion(hello, PEER_VERSION, PEER_VERSION) === undefined) throw new Error("no common version");
  if (hello.key === identity.key.public || (await keyId(hello.key)) !== expected) throw new Error("not the peer that was meant");
  await admit(hello.key, hello.ticket);
}
