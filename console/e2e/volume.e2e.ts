import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Browser } from 'playwright-core'
import { launch, visit } from './browser'
import { eventually, send, type To } from './fill'
import { OwnShop } from './serve'

const versions = 2100

let browser: Browser
let own: OwnShop

// Given a product with a long history, and more products than a page has
beforeAll(async () => {
  ;[browser, own] = await Promise.all([launch(), OwnShop.start()])
  const to: To = { url: own.url }
  const add = (id: string) => send(`/catalog/product/${id}/add`, { name: id, description: 'For tea', price: 1 }, to)
  await add('mug')
  for (let price = 2; price <= versions; price++) await send('/catalog/product/mug/update-price', { price }, to)
  await Promise.all(Array.from({ length: 200 }, (_, i) => add(`cup-${i}`)))
  await send('/ordering/customer/ann/register', { email: 'ann@example.com', address: '1 Lane, Oxford' }, to)
  await eventually<{ price: number }>('/ordering/available-products/mug', ({ price }) => price === versions, to)
}, 180_000)

afterAll(async () => {
  await browser?.close()
  await own?.close()
})

test('a long history is shown page by page, from its end', async () => {
  const { page, complaints, close } = await visit(browser, '#/Catalog/Product/mug', {}, own.url)
  const history = page.getByRole('region', { name: 'History' })
  await history.getByText(`Version ${versions} of ${versions}`).waitFor()
  await history.getByText(`Versions 2001 to ${versions}`).waitFor()
  await history.getByRole('button', { name: 'Older' }).click()
  await history.getByText('Versions 1801 to 2000').waitFor()
  await history.getByText('State at version 2000').waitFor()
  await history.locator('ins', { hasText: /^2000$/ }).waitFor()
  // The stepper leads over the page's edge, as an address does
  await page.keyboard.press('ArrowRight')
  await history.getByText(`Versions 2001 to ${versions}`).waitFor()
  await page.goto(`${own.url}/console/#/Catalog/Product/mug?version=1`)
  await history.getByText('Versions 1 to 200').waitFor()
  await history.getByRole('button', { name: '1. Added' }).waitFor()
  expect(await history.getByRole('button', { name: 'Older' }).isDisabled()).toBe(true)
  await history.getByRole('button', { name: 'Newer' }).click()
  await history.getByText('Versions 201 to 400').waitFor()
  // What happens meanwhile is added at the end
  await send('/catalog/product/mug/update-price', { price: 0.5 }, { url: own.url })
  await history.getByText(`Version 201 of ${versions + 1}`).waitFor()
  expect(complaints).toEqual([])
  await close()
})

test('what is not among the first products has its name and price in the basket, and counts', async () => {
  const { page, complaints, close } = await visit(browser, '#/shop?q=mug', {}, own.url)
  await page.getByRole('button', { name: 'Add to basket: mug' }).click()
  await page.goto(`${own.url}/console/#/shop?q=cup`)
  await page.getByRole('button', { name: 'Add to basket: cup-0' }).click()
  await page.getByRole('link', { name: 'Basket (2)' }).click()
  await page.getByRole('row', { name: 'mug €0.50' }).waitFor()
  await page.getByRole('row', { name: 'Total €1.50' }).waitFor()
  expect(complaints).toEqual([])
  await close()
})

test('an order is placed where there are more products than a picker has', async () => {
  const { page, complaints, close } = await visit(browser, '#/Ordering/Orders?do=Place', {}, own.url)
  const form = page.getByRole('dialog')
  await form.getByRole('combobox', { name: 'Customer' }).click()
  await page.getByRole('option', { name: 'ann' }).click()
  await form.getByLabel('Products').fill('mug')
  await page.keyboard.press('Enter')
  await page.keyboard.press('Tab')
  await form.getByText('Would append').waitFor()
  await form.getByRole('button', { name: 'Place' }).click()
  await page.getByRole('region', { name: 'Orders', exact: true }).getByRole('link', { name: 'mug' }).waitFor()
  expect(complaints).toEqual([])
  await close()
})

test('the dashboard does not say that it counted what it did not', async () => {
  const { page, close } = await visit(browser, '#/', {}, own.url)
  await page.getByRole('region', { name: 'Products', exact: true }).getByText('200+').waitFor()
  await page.getByRole('region', { name: 'Categories' }).getByText('0', { exact: true }).waitFor()
  await close()
})
