import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Browser } from 'playwright-core'
import { expectAccessible } from './axe'
import { launch, visit } from './browser'
import { send } from './fill'
import { OwnShop } from './serve'

let browser: Browser
let own: OwnShop
let url: string
let bundle = '' // Catalog's, as a server of the operator's own sends it

const server = createServer((_, response) => {
  response.writeHead(200, { 'Content-Type': 'text/javascript', 'Access-Control-Allow-Origin': '*', 'Cache-Control': 'no-store' }).end(bundle)
})

beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/catalog.js`
  ;[browser, own] = await Promise.all([launch(), OwnShop.start([], { CATALOG_UI_BUNDLE_URL: url })])
  await send('/catalog/product/mug/add', { name: 'Mug', description: 'For tea', price: 7.5 }, { url: own.url })
})

afterAll(async () => {
  await browser?.close()
  await own?.close()
  server.close()
})

const whole = `export function register({ react, addPage }) {
  addPage({ path: 'cups', title: 'Cups', component: () => react.createElement('h1', null, 'All cups') })
`

test('a bundle from an origin that the operator configured adds its parts', async () => {
  bundle = `${whole}}`
  const { page, complaints, close } = await visit(browser, '#/', {}, own.url)
  await page.getByRole('link', { name: 'Cups' }).click()
  await page.getByRole('heading', { name: 'All cups' }).waitFor()
  expect(complaints).toEqual([])
  await close()
})

test('a bundle that fails halfway is said to Admins, and leaves nothing of itself', async () => {
  bundle = `${whole} throw new Error('out of cups') }`
  const { page, complaints, close } = await visit(browser, '#/', { bypassCSP: true }, own.url)
  const notice = page.getByRole('alert').filter({ hasText: 'Catalog’s part of the page did not load.' })
  await notice.getByText('out of cups').waitFor()
  await notice.getByText(url).waitFor()
  await expectAccessible(page, 'a bundle that failed')
  expect(await page.getByRole('link', { name: 'Cups' }).count()).toBe(0)
  // The other plugin's part is there, and so is all that needs none
  await page.goto(`${own.url}/console/#/shop/orders`)
  await page.getByRole('heading', { level: 1, name: 'My orders' }).waitFor()
  await page.goto(`${own.url}/console/#/Catalog/Products`)
  await page.getByText('Mug', { exact: true }).waitFor()
  expect(complaints).toEqual([])
  // Customers can't do anything about it
  await page.goto(`${own.url}/console/#/`)
  await page.getByRole('button', { name: 'You are local' }).click()
  await page.getByLabel('Act as user').fill('ann')
  await page.getByRole('button', { name: 'Act as ann' }).click()
  await notice.waitFor({ state: 'detached' })
  await close()
})

test('a bundle that is not there, is none, or never comes keeps nobody from the others', async () => {
  const { page, close } = await visit(browser, 'assets/none', {}, own.url)
  await page.clock.install()
  const open = () => Promise.all([page.waitForRequest(url), page.reload()])
  for (const [why, answer] of [
    ['Failed to fetch dynamically imported module', { status: 404 }],
    ['It does not export register.', { contentType: 'text/javascript', headers: { 'Access-Control-Allow-Origin': '*' }, body: 'export const a = 1' }],
  ] as const) {
    await page.route(url, (route) => route.fulfill(answer))
    await page.goto(`${own.url}/console/#/`)
    await open()
    await page.getByText(why).waitFor()
    await page.unroute(url)
  }
  await page.route(url, () => undefined)
  const [others] = await Promise.all([page.waitForResponse((response) => response.url().includes('/bundles/')), open()])
  // Vitest rewrites imports, so this one is text. The others are there before the time is over.
  await page.evaluate(`import(${JSON.stringify(others.url())})`)
  await page.clock.fastForward(10_000)
  await page.getByText('It did not come within 10 seconds.').waitFor()
  await page.unroute(url)
  await page.goto(`${own.url}/console/#/shop/orders`)
  await page.getByRole('heading', { level: 1, name: 'My orders' }).waitFor()
  await close()
})

test('a renderer that fails shows the plain value', async () => {
  bundle = `export function register({ addFieldRenderer }) {
    addFieldRenderer('Catalog.Products', 'name', () => { throw new Error('out of ink') })
  }`
  const { page, complaints, close } = await visit(browser, '#/Catalog/Products', {}, own.url)
  await expect.poll(() => complaints.join('\n')).toContain('out of ink') // which may be said before one waits for it
  await page.getByText('Mug', { exact: true }).waitFor()
  await close()
})
