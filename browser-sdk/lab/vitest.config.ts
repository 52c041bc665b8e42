/**
 * Tests with real browsers: `npm run lab`. First those that look at clocks, one after the other; then crowds, two at a
 * time, since their players mostly wait. Real browsers on a machine that does something else for a moment fail by the
 * clock alone, so what fails is tried once more; the report names it.
 */
import { defineConfig } from "vitest/config";

const CLOCKS = ["browser", "plain", "poor", "relay", "static_site"].map((name) => `lab/${name}.lab.test.ts`);

export default defineConfig({
  test: {
    environment: "node",
    globalSetup: "./lab/sdk.ts",
    testTimeout: 60_000,
    retry: 1,
    projects: [
      { extends: true, test: { name: "clocks", include: CLOCKS, maxWorkers: 1, sequence: { groupOrder: 1 } } },
      {
        extends: true,
        test: {
          name: "crowds",
          include: ["lab/**/*.lab.test.ts"],
          exclude: CLOCKS,
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
