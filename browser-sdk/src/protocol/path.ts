/** Paths inside a release. What cannot live on every player's file system, or would leave the folder, is refused. */
import { utf8, utf8Length } from "./bytes.ts";
import { ProtocolError } from "./error.ts";
import type { Branded } from "./id.ts";
import { NAME_BYTES_MAX, PATH_BYTES_MAX } from "./limits.ts";

/** Why a path was refused. */
export type PathCode = "empty" | "absolute" | "dots" | "too-long" | "character" | "reserved" | "ending" | "escapes";

/** A path that may not be installed. */
export class PathError extends ProtocolError<PathCode> {
  constructor(code: PathCode) {
    super("path", code);
  }
}

/** A checked path relative to the release's folder, with `/` between its parts. */
export type RelPath = Branded<string, "RelPath">;

/** What Windows does not allow in names, and what no UTF-8 holds. */
const REFUSED_CHARACTER = /[\p{Cc}\p{Surrogate}<>:"|?*\\]/u;
/** Names that Windows takes for devices, as `Naming Files, Paths, and Namespaces` (Microsoft) lists them. */
const DEVICE = /^(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³])$/;

/** Reads a path. Throws {@link PathError}. */
export function parsePath(text: string): RelPath {
  if (text.startsWith("/")) throw new PathError("absolute");
  if (utf8Length(text) > PATH_BYTES_MAX) throw new PathError("too-long");
  text.split("/").forEach(checkPart);
  return text as RelPath;
}

function checkPart(part: string): void {
  if (part === "") throw new PathError("empty");
  if (part === "." || part === "..") throw new PathError("dots");
  if (utf8Length(part) > NAME_BYTES_MAX) throw new PathError("too-long");
  if (REFUSED_CHARACTER.test(part)) throw new PathError("character");
  if (part.endsWith(".") || part.endsWith(" ")) throw new PathError("ending");
  if (isDevice(part)) throw new PathError("reserved");
}

function isDevice(part: string): boolean {
  const [stem = ""] = part.split(".", 1);
  return DEVICE.test(stem.replace(/ +$/, "").replace(/[a-z]/g, (letter) => letter.toUpperCase()));
}

/** All folders above a path, outermost first. */
export function parentsOf(path: RelPath): readonly string[] {
  const parts = path.split("/");
  return parts.slice(1).map((_, at) => parts.slice(0, at + 1).join("/"));
}

/** A form in which two paths are equal when a file system without letter case cannot tell them apart. */
export function folded(path: RelPath): string {
  return Array.from(path, foldedChar).join("");
}

/** Character by character: `toLowerCase` of a whole text would give a final sigma another form. */
function foldedChar(char: string): string {
  return Array.from(char.toUpperCase(), (upper) => upper.toLowerCase()).join("");
}

/** Order of paths in a manifest, that of their UTF-8 bytes: negative when `a` comes before `b`. */
export function comparePaths(a: RelPath, b: RelPath): number {
  const [left, right] = [utf8(a), utf8(b)];
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at += 1) {
    const difference = (left[at] as number) - (right[at] as number);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/**
 * Checks the target of a symbolic link at `link`: relative, and inside the folder wherever it leads. Throws
 * {@link PathError}.
 */
export function checkLinkTarget(link: RelPath, target: string): void {
  if (target === "") throw new PathError("empty");
  if (target.startsWith("/")) throw new PathError("absolute");
  if (utf8Length(target) > PATH_BYTES_MAX) throw new PathError("too-long");
  let depth = link.split("/").length - 1;
  for (const part of target.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") {
      if (depth === 0) throw new PathError("escapes");
      depth -= 1;
    } else {
      checkPart(part);
      depth += 1;
    }
  }
}
