import { defineConfig } from 'vitest/config'

// Where the shop is slow, what is awaited may take longer.
const patience = Number(process.env.SHOP_PATIENCE ?? 60_000)

export default defineConfig({
  test: { include: ['e2e/*.e2e.ts'], fileParallelism: false, testTimeout: patience, hookTimeout: patience },
})
