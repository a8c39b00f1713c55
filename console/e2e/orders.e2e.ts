import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Browser } from 'playwright-core'
import { launch, visit } from './browser'
import { eventually, send, type To } from './fill'
import { OwnShop } from './serve'

let browser: Browser
let own: OwnShop

// Given orders that wait before they are shipped
beforeAll(async () => {
  ;[browser, own] = await Promise.all([launch(), OwnShop.start(['--ship-delay', '1h'])])
  const to: To = { url: own.url }
  await send('/catalog/product/mug/add', { name: 'Mug', description: 'For tea', price: 7.5 }, to)
  await send('/ordering/customer/ann/register', { email: 'ann@example.com', address: '1 Lane, Oxford' }, to)
  await eventually('/ordering/available-products/mug', () => true, to)
  for (const id of ['o1', 'o2']) await send(`/ordering/order/${id}/place`, { customerId: 'ann', productIds: ['mug'] }, to)
})

afterAll(async () => {
  await browser?.close()
  await own?.close()
})

test('a command that would be refused now is not offered, and the page says why', async () => {
  const { page, complaints, close } = await visit(browser, '#/Ordering/Order/o2', {}, own.url)
  const button = (name: string) => page.getByRole('button', { name, exact: true })
  await button('Cancel').and(page.locator(':enabled')).waitFor()
  await button('Ship').click()
  await page.getByRole('dialog').getByRole('button', { name: 'Ship' }).click()
  await page.getByText('Order already shipped.').waitFor()
  expect(await button('Cancel').isDisabled()).toBe(true)
  await page.getByText('Nothing would change.').waitFor()
  expect(await button('Ship').isDisabled()).toBe(true)
  expect(complaints).toEqual([])
  await close()
})

test('an order can be cancelled until it is shipped, and its trace says what waits', async () => {
  const { page, complaints, close } = await visit(browser, '#/trace/Ordering.Order%23o1/1', {}, own.url)
  await page.getByText('The rest is due later').waitFor()
  await page.goto(`${own.url}/console/#/shop/orders?customer=ann`)
  await page.getByRole('article').nth(1).waitFor()
  expect(await page.getByRole('article').getByRole('heading').allInnerTexts(), 'the latest is first').toEqual(['o2', 'o1'])
  const cancel = page.getByRole('button', { name: 'Cancel the order o1' })
  await cancel.click()
  await page.getByText('Cancelled. Nothing is sent.').waitFor()
  await cancel.waitFor({ state: 'detached' })
  expect(complaints).toEqual([])
  await close()
})
