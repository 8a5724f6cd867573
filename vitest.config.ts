import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globals: false,
    pool: "forks",
    poolOptions: { forks: { minForks: 1, maxForks: 2 } },
    sequence: { shuffle: false, concurrent: false },
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 10_000
  }
})
