import { defineConfig } from 'vitest/config'

import { patience } from './e2e/patience'

// What is polled may take as long as what is awaited, and not the second that it has by default.
export default defineConfig({
  test: { include: ['e2e/*.e2e.ts'], fileParallelism: false, testTimeout: patience, hookTimeout: patience, expect: { poll: { timeout: patience / 2 } } },
})
