import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Browser } from 'playwright-core'
import { expectAccessible } from './axe'
import { launch, visit } from './browser'
import { eventually, send, type To } from './fill'
import { OwnShop } from './serve'

let browser: Browser
let own: OwnShop
let to: To

// Given an order whose first commit nobody can read
beforeAll(async () => {
  ;[browser, own] = await Promise.all([launch(), OwnShop.start()])
  to = { url: own.url }
  await send('/catalog/product/mug/add', { name: 'Mug', description: 'For tea', price: 7.5 }, to)
  await send('/ordering/customer/ann/register', { email: 'ann@example.com', address: '1 Lane, Oxford' }, to)
  await eventually('/ordering/available-products/mug', () => true, to)
  await send('/ordering/order/like/place', { customerId: 'ann', productIds: ['mug'] }, to)
  await eventually('/ordering/orders/like?minVersion=2', () => true, to)
  await own.stop()
  const root = fileURLToPath(new URL('../..', import.meta.url))
  await promisify(execFile)('go', ['run', './console/e2e/poison', own.data, 'like', 'poison'], { cwd: root })
  await own.restart()
  await eventually<{ items: unknown[] }>('/operations/parked', ({ items }) => items.length === 6, to)
}, 180_000)

afterAll(async () => {
  await browser?.close()
  await own?.close()
})

test('a stream that nobody can read: each consumer of it is shown, tried again, and passed over with a reason', async () => {
  const { page, complaints, close } = await visit(browser, '#/', { bypassCSP: true }, own.url)
  await page.getByText('mapping:Ordering.AutoShip has 1 parked.').waitFor()
  await page.getByRole('link', { name: 'See what failed' }).click()
  const ship = page.getByRole('region', { name: 'mapping:Ordering.AutoShip' }).first()
  await ship.getByRole('link', { name: 'Ordering.Order#poison' }).waitFor()
  await ship.getByText(/productIds/).waitFor()
  await ship.getByRole('columnheader', { name: 'Next try' }).waitFor()
  const [since, , next] = await ship.locator('tbody time').evaluateAll((times) => times.map((time) => Date.parse((time as HTMLTimeElement).dateTime)))
  expect(next! - since!).toBeGreaterThanOrEqual(10_000)
  await expectAccessible(page, 'failures')

  // A redrive tries it again, and says that it fails as before
  const attempts = async () => Number(await ship.locator('tbody td.numeric').innerText())
  const before = await attempts()
  await ship.getByRole('button', { name: 'Redrive', exact: true }).click()
  await page.getByText('Tried again. It failed again.').waitFor()
  await expect.poll(attempts).toBeGreaterThan(before)

  // A skip asks for a reason, and lets it pass
  await ship.getByRole('button', { name: 'Skip …' }).click()
  const dialog = page.getByRole('dialog')
  expect(await dialog.getByRole('button', { name: 'Skip it' }).isDisabled()).toBe(true)
  await dialog.getByLabel('Reason').fill('sent by hand')
  await dialog.getByRole('button', { name: 'Skip it' }).click()
  await ship.waitFor({ state: 'detached' })

  // A view needs every commit
  const orders = page.getByRole('region', { name: 'readmodel:Ordering.Orders' }).first()
  await orders.getByText('mend what it fails on, and redrive it').waitFor()
  expect(await orders.getByRole('button', { name: 'Skip …' }).count()).toBe(0)
  expect(complaints).toEqual([])
  await close()
})

test('all else goes on beside what failed', async () => {
  const { page, close } = await visit(browser, '#/Ordering/Orders', {}, own.url)
  await send('/ordering/order/healthy/place', { customerId: 'ann', productIds: ['mug'] }, to)
  await page.getByRole('row', { name: /healthy.*shipped/i }).waitFor()
  await close()
})
