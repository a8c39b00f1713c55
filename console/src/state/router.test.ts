import { expect, test } from 'vitest'
import { href, parseRoute, withQuery } from './router'

test('a route survives its URL', () => {
  const to = href(['trace', 'Zoo.Animal#a/1 ?', '1'], { q: 'a&b', none: undefined })
  const route = parseRoute(to)
  expect(route.segments).toEqual(['trace', 'Zoo.Animal#a/1 ?', '1'])
  expect(route.query.get('q')).toBe('a&b')
  expect(route.query.has('none')).toBe(false)
})

test('parameters are changed one by one', () => {
  expect(withQuery(parseRoute('#/a/b?x=1&y=2'), { x: undefined, z: 3 })).toBe('#/a/b?y=2&z=3')
})

test('nothing is the dashboard', () => {
  expect(parseRoute('').segments).toEqual([])
  expect(parseRoute('#/').segments).toEqual([])
})
