import { expect, test } from 'vitest'
import { KeyRing } from './keyring'
import { numberFrom } from './numbers'
import { errorsAt } from './servererrors'
import { validate } from './validator'

const schema = {
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 1, pattern: '\\S' },
    price: { type: 'number', minimum: 0, multipleOf: 0.0001 },
    tags: { type: 'array', items: { type: 'string' }, minItems: 1 },
  },
  required: ['name', 'price'],
  additionalProperties: false,
}

test('what is right has no errors, exact decimals included', () => {
  expect(validate(schema, { name: 'Mug', price: 7.5 })).toEqual([])
  expect(validate(schema, { name: 'Mug', price: 0.0003, tags: ['a'] })).toEqual([])
})

test('what is wrong is told at its field, once and in words', () => {
  const errors = validate(schema, { name: ' ', tags: [] })
  expect(errors.map(({ property, message }) => [property, message])).toEqual(
    expect.arrayContaining([
      ['.price', 'Fill this in.'],
      ['.name', 'May not be blank.'],
      ['.tags', 'Choose at least one.'],
    ]),
  )
  expect(errors).toHaveLength(3)
})

test("a problem's pointers name the fields", () => {
  const problem = { status: 422, code: 'InvalidPayload', title: '', detail: '', errors: [{ pointer: '/lines/0/price', detail: 'is negative' }] }
  expect(errorsAt(problem)).toEqual({ lines: { 0: { price: { __errors: ['is negative'] } } } })
})

test('a key lasts for retries, and changes with the values', () => {
  const keys = new KeyRing()
  const first = keys.keyFor('/a', { price: 1 })
  expect(keys.keyFor('/a', { price: 1 })).toBe(first)
  expect(keys.keyFor('/a', { price: 2 })).not.toBe(first)
  expect(new KeyRing().keyFor('/a', { price: 1 })).not.toBe(first)
})

test('a number is what was written, with a point or a comma, and never another', () => {
  for (const [text, value] of [['12.5', 12.5], ['12,5', 12.5], ['12.', 12], [',5', 0.5], [' 7 ', 7], ['-3', -3], ['3,20', 3.2], ['0,125', 0.125], ['', undefined]] as const) {
    expect(numberFrom(text, '.'), text).toBe(value)
    expect(numberFrom(text, ','), text).toBe(value)
  }
  for (const text of ['1.234,56', '1,234.56', '1 234', '€ 12.50', '1e5', 'cheap', '.']) {
    expect(numberFrom(text, '.'), text).toBe(text)
    expect(numberFrom(text, ','), text).toBe(text)
  }
  // Three digits after the other language's sign may be thousands
  expect(numberFrom('1,234', '.')).toBe('1,234')
  expect(numberFrom('1.234', '.')).toBe(1.234)
  expect(numberFrom('1.234', ',')).toBe('1.234')
  expect(numberFrom('1,234', ',')).toBe(1.234)
})
