import { expect, test } from 'vitest'
import { Basket } from './basket'

function tab(content: Record<string, string> = {}) {
  const held = new Map(Object.entries(content))
  const store = { getItem: (place: string) => held.get(place) ?? null, setItem: (place: string, text: string) => void held.set(place, text) }
  /** The page as it is opened in this tab. */
  return { store, open: (user = () => 'ann') => new Basket(user, () => store) }
}

test('a reload loses neither what was chosen nor who orders', () => {
  const { open } = tab()
  const basket = open()
  basket.add('mug')
  basket.add('cup')
  basket.remove('mug')
  basket.become('grace')

  const again = open()
  expect(again.items()).toEqual(['cup'])
  expect(again.customer()).toBe('grace')
})

test('what one user has chosen is not shown to another', () => {
  let user = 'ann'
  const basket = tab().open(() => user)
  basket.add('mug')
  basket.become('grace')
  user = 'bob'
  expect(basket.items()).toEqual([])
  expect(basket.customer()).toBeUndefined()
  user = 'ann'
  expect(basket.items()).toEqual(['mug'])
})

test('an order that was sent once is the same after a reload, and another one where something changed', () => {
  const { open } = tab()
  const basket = open()
  basket.add('mug')
  const sent = basket.orderAs('grace')

  const again = open()
  expect(again.orderAs('grace')).toEqual(sent)
  expect(again.orderAs('ann').id).not.toBe(sent.id)
  again.clear()
  again.add('mug')
  expect(again.orderAs('grace').id).not.toBe(sent.id)
})

test('what is kept and no basket is an empty one', () => {
  for (const text of ['{', 'null', '[]', '"mug"', '{"chosen":"mug","customer":1,"order":{}}']) {
    const basket = tab({ 'shopwindow.ann': text }).open()
    expect(basket.items(), text).toEqual([])
    expect(basket.customer(), text).toBeUndefined()
    basket.add('mug')
    expect(basket.orderAs('grace').id, text).toMatch(/^order-/)
  }
})

test('where the browser keeps nothing, a basket lives as long as the page', () => {
  const basket = new Basket(
    () => 'ann',
    () => {
      throw new Error('denied')
    },
  )
  basket.add('mug')
  expect(basket.items()).toEqual(['mug'])
})
