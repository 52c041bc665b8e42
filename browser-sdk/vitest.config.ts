/** Tests run in Node, which has the same WebCrypto as browsers. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  // One test of mutations checks some thousand signatures, which takes seconds on a busy machine.
  test: { include: ["test/**/*.test.ts"], environment: "node", testTimeout: 60_000 },
});
