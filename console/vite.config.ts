import { fileURLToPath } from 'node:url'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

// The API's root is the page's parent folder, so in development the page lives at /console/, too,
// and everything beside it goes to the shop.
const shop = process.env.SHOP_URL ?? 'http://127.0.0.1:8080'
const proxy = { '^/(?!console/(?!config\\.json|demo))': { target: shop, changeOrigin: true } }

export default defineConfig(({ command, isPreview }) => ({
  base: command === 'build' && !isPreview ? './' : '/console/',
  plugins: [react()],
  resolve: { alias: { '@rjsf/validator-ajv8': fileURLToPath(new URL('src/forms/noajv.ts', import.meta.url)) } },
  // The licences of what is bundled, for those who pass it on.
  build: { target: 'es2022', license: { fileName: 'licenses.txt' }, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 2000 },
  server: { proxy },
  preview: { proxy },
}))
