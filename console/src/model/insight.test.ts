import { expect, test } from 'vitest'
import type { ReadModelManifest } from '../api/types'
import { insightOf } from './insight'

const view = (properties: object, label?: string) => ({ name: 'A.Bs', schema: { properties }, label }) as ReadModelManifest

test('an enum is counted, values without rows included', () => {
  const bars = insightOf(view({ status: { type: 'string', enum: ['open', 'shut'] } }), [{ id: '1', status: 'shut' }])?.bars
  expect(bars).toEqual([
    { label: 'open', count: 0 },
    { label: 'shut', count: 1 },
  ])
})

test('the only count is ranked', () => {
  const rows = [{ id: '1', n: 2 }, { id: '2', n: 5, name: 'Two' }]
  expect(insightOf(view({ n: { type: 'integer' } }, 'name'), rows)?.bars.map((b) => b.label)).toEqual(['Two', '1'])
})

test('many numbers tell nothing at a glance', () => {
  expect(insightOf(view({ n: { type: 'integer' }, m: { type: 'integer' } }), [{ id: '1' }])).toBeUndefined()
})
