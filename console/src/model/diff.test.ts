import { expect, test } from 'vitest'
import { diff } from './diff'

test('equal values have no changes', () => {
  expect(diff({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] })).toEqual([])
  expect(diff({ a: [] }, { a: [] })).toEqual([])
})

test('changes are told by path', () => {
  expect(diff({ name: 'Mug', price: 7.5, tags: ['a'] }, { name: 'Mug', price: 6.95, tags: ['a', 'b'], open: true })).toEqual([
    { path: '/price', before: 7.5, after: 6.95, kind: 'changed' },
    { path: '/tags/1', after: 'b', kind: 'added' },
    { path: '/open', after: true, kind: 'added' },
  ])
})

test('what goes is told, too, and names are escaped', () => {
  expect(diff({ 'a/b': 1 }, {})).toEqual([{ path: '/a~1b', before: 1, kind: 'removed' }])
})

test('another type is a change', () => {
  expect(diff({ a: [1] }, { a: { 0: 1 } })).toEqual([{ path: '/a', before: [1], after: { 0: 1 }, kind: 'changed' }])
})
