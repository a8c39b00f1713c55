import { expect, test } from 'vitest'
import { parseCsv, toCsv } from './csv'

test('what is written is read', () => {
  const rows = [{ id: 'a', text: 'two "words",\nand a line', n: -1.5, list: ['x', 'y'] }]
  expect(parseCsv(toCsv(['id', 'text', 'n', 'list', 'none'], rows))).toEqual([
    ['id', 'text', 'n', 'list', 'none'],
    ['a', 'two "words",\nand a line', '-1.5', 'x y', ''],
  ])
})

test('nothing runs as a formula', () => {
  expect(toCsv(['id'], [{ id: '=1+1' }])).toBe("id\r\n'=1+1\r\n")
})
