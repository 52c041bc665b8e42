/**
 * What all refusals of this folder have in common. Each file has its own class, whose `code` is one of a closed set;
 * the codes are the stable names that the vectors use.
 */

/** Something remote was refused. The sender is the guilty side. */
export abstract class ProtocolError<Code extends string = string> extends Error {
  /** Stable name of the fault. */
  readonly code: Code;
  /** What it is about (the limit, the feature, the type), where the fault has something to say about it. */
  readonly subject: string | undefined;

  constructor(what: string, code: Code, subject?: string) {
    super(subject === undefined ? `${what}: ${code}` : `${what}: ${code} (${subject})`);
    this.name = new.target.name;
    this.code = code;
    this.subject = subject;
  }
}
