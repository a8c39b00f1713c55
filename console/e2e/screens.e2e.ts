import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Browser, Page } from 'playwright-core'
import { expectAccessible } from './axe'
import { launch, visit } from './browser'
import { fill } from './fill'

let browser: Browser
let ids: Awaited<ReturnType<typeof fill>>

beforeAll(async () => {
  ;[browser, ids] = await Promise.all([launch(), fill()])
})

afterAll(() => browser?.close())

type Shown = (page: Page) => Promise<unknown>

const heading =
  (name: string | RegExp): Shown =>
  (page) =>
    page.getByRole('heading', { level: 1, name }).waitFor()

const text =
  (shown: string | RegExp): Shown =>
  (page) =>
    page.getByText(shown).first().waitFor()

const screens: Record<string, () => [hash: string, ...shown: Shown[]]> = {
  dashboard: () => ['#/', heading('Dashboard'), text('All is well.'), text('Top by order count')],
  'a list': () => ['#/Catalog/Products', heading('Products'), text(ids.name)],
  'a filtered list': () => [`#/Catalog/Products?categoryId=${ids.category}`, heading('Products'), text(ids.name)],
  'an empty list': () => ['#/Catalog/Products?categoryId=none', text('Nothing matches this filter.')],
  'rows of all orders': () => ['#/Ordering/OrderLines', heading('Order lines'), text(ids.order)],
  'rows below an order': () => [`#/Ordering/OrderLines/${ids.order}`, heading(ids.order), text(ids.product)],
  'rows by key': () => ['#/Ordering/CustomerStats', heading('Customer stats'), text(ids.customer)],
  'an aggregate': () => [`#/Catalog/Product/${ids.product}`, heading(ids.product), text('What changed')],
  'an aggregate that is not there': () => ['#/Catalog/Product/nobody', text('There is no such one.')],
  'an internal aggregate': () => [`#/Catalog/ProductDemand/${ids.product}`, text('What changed')],
  'an order that is shipped': () => [`#/Ordering/Order/${ids.order}`, heading(ids.order), text('Order already shipped.')],
  streams: () => ['#/Catalog/ProductDemand', heading('Product demand histories'), (page) => page.getByLabel('Open by id').waitFor()],
  trace: () => [`#/trace/${encodeURIComponent(`Ordering.Order#${ids.order}`)}/1`, heading('Trace'), text('All done')],
  imports: () => ['#/imports', heading('Imports')],
  failures: () => ['#/failures', text('Nothing failed.')],
  views: () => ['#/views', heading('Views'), text('Up to date')],
  schedules: () => ['#/schedules', heading('Schedules')],
  mail: () => ['#/mail', heading('Mail'), text('Thank you for your order')],
  map: () => ['#/map', heading('Map'), (page) => page.locator('.react-flow__node').first().waitFor()],
  'a part of the map': () => ['#/map?part=aggregate:Catalog.Product', text('Command Add')],
  'a form': () => ['#/Catalog/Products?do=Add', (page) => page.getByLabel('Name').waitFor()],
  'nothing there': () => ['#/nowhere', heading('Nothing here')],
  'the shop window': () => ['#/shop', text(ids.name)],
  'an empty basket': () => ['#/shop/basket', text('Your basket is empty.')],
  'my orders': () => [`#/shop/orders?customer=${ids.customer}`, text(ids.order)],
}

const looks = {
  light: { colorScheme: 'light' },
  dark: { colorScheme: 'dark' },
  'a phone': { colorScheme: 'light', viewport: { width: 390, height: 844 } },
} as const

describe.each(Object.entries(looks))('%s', (_, look) => {
  test.each(Object.keys(screens))('%s opens, complains of nothing, and is accessible', async (name) => {
    const [hash, ...shown] = screens[name]!()
    // Only axe needs the policy out of its way.
    const { page, complaints, close } = await visit(browser, hash, { ...look, bypassCSP: true })
    for (const wait of shown) await wait(page)
    await expectAccessible(page, name)
    if ('viewport' in look) expect(await page.evaluate(() => document.documentElement.scrollWidth), 'fits the width').toBeLessThanOrEqual(390)
    expect(complaints).toEqual([])
    await close()
  })
})
