import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

// The plugins' bundles have fixed names, as the shop's settings name them.
// They bring no React: the console hands them its own, so JSX becomes plain calls of it.
export default defineConfig({
  root: here('.'),
  oxc: { jsx: { runtime: 'classic' } },
  build: {
    target: 'es2022',
    outDir: here('../dist/bundles'),
    emptyOutDir: true,
    lib: { entry: { catalog: here('catalog.tsx'), ordering: here('ordering.tsx') }, formats: ['es'] },
    rolldownOptions: { output: { entryFileNames: '[name].js', chunkFileNames: '[name].js' } },
  },
})
