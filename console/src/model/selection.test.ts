import { expect, test } from 'vitest'
import type { ReadModelManifest } from '../api/types'
import { nextSort, selectionOf, sortOf } from './selection'

const view = { indexes: ['keeperId'], sorts: ['born'], searches: ['name'] } as unknown as ReadModelManifest
const of = (query: string) => selectionOf(view, new URLSearchParams(query))

test('what the view declares is asked for, and nothing else', () => {
  expect(of('keeperId=k1&sort=-born&born.gte=2020&q=zo&page=2&cursor=c')).toEqual({ keeperId: 'k1', sort: '-born', 'born.gte': '2020', q: 'zo' })
  expect(of('sort=name&name.lt=x&name=y')).toEqual({})
})

test('a search without a word is not sent', () => {
  expect(of('q=')).toEqual({})
  expect(of('q=%21')).toEqual({})
  expect(selectionOf({ ...view, searches: [] }, new URLSearchParams('q=zo'))).toEqual({})
})

test('a column is sorted up, down, and not at all', () => {
  const query = new URLSearchParams()
  expect(sortOf(query, 'born')).toBe(undefined)
  expect(nextSort(query, 'born')).toBe('born')
  query.set('sort', 'born')
  expect(sortOf(query, 'born')).toBe('ascending')
  expect(nextSort(query, 'born')).toBe('-born')
  query.set('sort', '-born')
  expect(sortOf(query, 'born')).toBe('descending')
  expect(nextSort(query, 'born')).toBe(undefined)
})
