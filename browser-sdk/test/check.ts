/** What is expected of a case of the vectors. */
import { expect } from "vitest";
import { hex } from "../src/protocol/bytes.ts";
import { ProtocolError } from "../src/protocol/error.ts";
import { judge } from "./judges.ts";
import { bytesOf, type Case } from "./vector.ts";

/** A valid case has its value, and is written again as it was. */
export async function checkValid(file: string, valid: Case): Promise<void> {
  const { fields, again } = await judge(file, valid);
  expect(fields).toEqual(valid.fields);
  if (again) expect(hex(again) === hex(bytesOf(valid)), "written again as it was").toBe(valid.lenient !== true);
}

/** An invalid case is refused with its code. */
export async function checkInvalid(file: string, invalid: Case): Promise<void> {
  const fault: unknown = await judge(file, invalid).then(
    ({ fields }) => fields,
    (error: unknown) => error,
  );
  expect(fault).toBeInstanceOf(ProtocolError);
  const { code, subject } = fault as ProtocolError;
  expect(code).toBe(invalid.error);
  if (invalid.subject !== undefined) expect(subject).toBe(invalid.subject);
}
