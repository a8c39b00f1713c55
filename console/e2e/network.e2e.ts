import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Browser, Page } from 'playwright-core'
import { launch, visit } from './browser'
import { send, type To } from './fill'
import { OwnShop } from './serve'

let browser: Browser
let own: OwnShop
let to: To

beforeAll(async () => {
  ;[browser, own] = await Promise.all([launch(), OwnShop.start()])
  to = { url: own.url }
  await send('/catalog/product/mug/add', { name: 'Mug', description: 'For tea', price: 7.5 }, to)
})

afterAll(async () => {
  await browser?.close()
  await own?.close()
})

async function fillIn(page: Page, name: string) {
  const form = page.getByRole('dialog')
  await form.getByLabel('Name').fill(name)
  await form.getByLabel('Description').fill('Keeps warm')
  await form.getByLabel('Price').fill('24.90')
  await form.getByText('Would append').waitFor()
  return form
}

test('a command whose answer is lost takes effect once, however often it is sent', async () => {
  const { page, close } = await visit(browser, '#/Catalog/Products?do=Add', {}, own.url)
  const form = await fillIn(page, 'Teapot')
  const keys: (string | undefined)[] = []
  await page.route('**/catalog/product/*/add', async (route, request) => {
    const headers = request.headers()
    if (headers.prefer) return route.continue()
    keys.push(headers['idempotency-key'])
    if (keys.length > 1) return route.continue()
    await route.fetch() // The shop did it.
    await route.abort('connectionreset')
  })
  await form.getByLabel('Price').press('Enter')
  await form.getByText('The server could not be reached. Sending again is safe.').waitFor()
  await form.getByRole('button', { name: 'Add' }).click()
  await page.getByRole('heading', { level: 1, name: 'teapot' }).waitFor()
  expect(keys).toEqual([expect.any(String), keys[0]])
  const history = (await (await fetch(`${own.url}/catalog/product/teapot/events`)).json()) as { items: { type: string }[] }
  expect(history.items.map(({ type }) => type)).toEqual(['Added'])
  await close()
})

test('what is polled is sent again only where it changed', async () => {
  const { page, close } = await visit(browser, '#/Catalog/Products', {}, own.url)
  const next = (status: number) => page.waitForResponse((response) => response.url().includes('/catalog/products?') && response.status() === status)
  await page.getByText('Mug', { exact: true }).waitFor()
  await next(304)
  await page.getByText('Mug', { exact: true }).waitFor()
  const changed = next(200)
  await send('/catalog/product/cup/add', { name: 'Cup', description: 'For coffee', price: 6 }, to)
  await changed
  await page.getByText('Cup', { exact: true }).waitFor()
  await close()
})

test('a server that is killed and comes back: the page says so, goes on by itself, and keeps what was typed', async () => {
  const { page, close } = await visit(browser, '#/Catalog/Products', {}, own.url)
  await page.getByText('Mug', { exact: true }).waitFor()
  await page.getByRole('button', { name: 'Add' }).click()
  const form = await fillIn(page, 'Kettle')
  await own.kill()
  await page.getByText('Away', { exact: true }).waitFor()
  await form.getByLabel('Price').fill('24.95')
  await form.getByText('There is no preview now: The server could not be reached.').waitFor()
  await own.restart()
  await send('/catalog/product/spoon/add', { name: 'Spoon', description: 'Stirs', price: 2 }, to)
  await page.getByText('Live', { exact: true }).waitFor()
  await page.getByText('Spoon', { exact: true }).waitFor()
  await form.getByRole('button', { name: 'Add' }).click()
  await page.getByRole('heading', { level: 1, name: 'kettle' }).waitFor()
  await close()
})

test('a part of the page that does not come can be asked for again', async () => {
  const { page, close } = await visit(browser, '#/Catalog/Products', {}, own.url)
  await page.getByText('Mug', { exact: true }).waitFor()
  await page.route('**/assets/map-*', (route) => route.abort())
  await page.getByRole('link', { name: 'Map' }).click()
  await page.getByText('This part of the page did not load').waitFor()
  await page.unroute('**/assets/map-*')
  await page.getByRole('button', { name: 'Load the page again' }).click()
  await page.getByRole('heading', { level: 1, name: 'Map' }).waitFor()
  await close()
})
