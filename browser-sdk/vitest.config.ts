/** Tests run in Node, which has the same WebCrypto as browsers. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/browser/**"],
    environment: "node",
    // One test of mutations checks some thousand signatures, which takes seconds on a busy machine.
    testTimeout: 60_000,
  },
});
