/** Tests with real browsers: `npm run lab`. One file after the other, since they measure time. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["lab/**/*.lab.test.ts"],
    environment: "node",
    globalSetup: "./lab/sdk.ts",
    fileParallelism: false,
    testTimeout: 60_000,
  },
});
