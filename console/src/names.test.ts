import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')

test('the page names no plugin', () => {
  const plugins = readdirSync(join(root, 'plugins')).filter((name) => existsSync(join(root, 'plugins', name, 'plugin_gen.go')))
  expect(plugins.length).toBeGreaterThan(1)
  const names = new RegExp(`\\b(${plugins.join('|')})\\b`, 'i')
  const sources = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|tsx|css)$/.test(name))
    .filter((name) => name !== join('api', 'openapi.ts')) // whose examples are the API's
  expect(sources.filter((name) => names.test(readFileSync(join(import.meta.dirname, name), 'utf8')))).toEqual([])
})
