import { expect, test } from 'vitest'
import { fieldsOf, humanize, idFrom, isMoney, listed } from './schema'

test('names as people write them', () => {
  expect(humanize('OpeningHours')).toBe('Opening hours')
  expect(humanize('visitCount')).toBe('Visit count')
  expect(humanize('Visits_Extension')).toBe('Visits extension')
  expect(humanize('HTTPServer')).toBe('HTTP server')
})

test('a reference is titled by what it points to, and nothing else loses its name', () => {
  const ref = { 'x-ref': 'Zoo.Staff' }
  const titles = fieldsOf({ properties: { keeperId: ref, keeperIds: ref, taxId: {}, keeper: ref, vat: { title: 'VAT' } } }).map((f) => f.title)
  expect(titles).toEqual(['Keeper', 'Keepers', 'Tax id', 'Keeper', 'VAT'])
})

test('money is what its format says', () => {
  expect(isMoney({ type: 'number', format: 'price' })).toBe(true)
  expect(isMoney({ type: 'number' })).toBe(false)
})

test('ids are made of names', () => {
  expect(idFrom('Crème brûlée, 2 pieces', 'x')).toBe('creme-brulee-2-pieces')
  expect(idFrom('…', 'x')).toBe('x')
  expect(idFrom(undefined, 'x')).toBe('x')
})

test('texts are listed as a sentence begins', () => {
  expect([listed(['email']), listed(['email', 'address']), listed(['a', 'b', 'c'])]).toEqual(['Email', 'Email and address', 'A, b and c'])
})
