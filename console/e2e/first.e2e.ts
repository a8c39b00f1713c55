import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Browser, Locator, Page } from 'playwright-core'
import { launch, visit } from './browser'
import { eventually, send, type To } from './fill'
import { OwnShop } from './serve'

// A shop that was just started, as a newcomer has it.
let browser: Browser
let own: OwnShop
let to: To

beforeAll(async () => {
  ;[browser, own] = await Promise.all([launch(), OwnShop.start()])
  to = { url: own.url }
})

afterAll(async () => {
  await browser?.close()
  await own?.close()
})

const focused = (at: Locator) => at.evaluate((element) => element === document.activeElement)

/** Goes to it as one does without a mouse. */
async function tabTo(page: Page, at: Locator): Promise<void> {
  await at.waitFor()
  for (let presses = 0; presses < 200; presses++) {
    if (await focused(at)) return
    await page.keyboard.press('Tab')
  }
  throw new Error('It can’t be reached with the Tab key.')
}

async function press(page: Page, at: Locator): Promise<void> {
  await tabTo(page, at)
  await page.keyboard.press('Enter')
}

test('by keyboard alone: the demo is loaded, an order placed, and its trace followed to the other plugin', async () => {
  const { page, complaints, close } = await visit(browser, '', {}, own.url)
  const field = async (name: string, text: string) => {
    await tabTo(page, page.getByLabel(name))
    await page.keyboard.type(text)
  }
  const button = (name: string | RegExp) => page.getByRole('button', { name, exact: typeof name === 'string' })
  // Given the demo, by its button
  await press(page, button('Load the demo'))
  await page.getByText('The demo is loaded. Look around.').waitFor()
  // When a customer orders in the shop window
  await press(page, page.getByRole('link', { name: 'Shop window', exact: true }))
  await press(page, button(/^Add to basket: /).first())
  await press(page, page.getByRole('link', { name: 'Basket (1)' }))
  await field('Customer id', 'newcomer')
  await field('E-mail', 'grace@example.com')
  await field('Address', '2 Lane, Oxford')
  await press(page, button('Register'))
  await press(page, button('Place the order'))
  // Then it is told how the order goes, up to Catalog's count
  await page.getByText('Placed, confirmed by e-mail, shipped.').waitFor()
  await press(page, page.getByRole('link', { name: 'See what it set off' }))
  await page.getByText('All done').waitFor()
  await page.getByText('ProductDemand', { exact: false }).first().waitFor()
  expect(complaints).toEqual([])
  await close()
})

test('the first page takes at most 250 KB of JavaScript, and asks nobody but the shop', async () => {
  const { page, close } = await visit(browser, 'nothing', {}, own.url)
  const asked: string[] = []
  let scripts = 0
  const sizes: Promise<void>[] = []
  page.on('request', (request) => asked.push(new URL(request.url()).origin))
  page.on('requestfinished', (request) => {
    if (request.resourceType() === 'script') sizes.push(request.sizes().then(({ responseBodySize }) => void (scripts += responseBodySize)))
  })
  await page.goto(`${own.url}/console/`)
  await page.getByRole('heading', { level: 1, name: 'Dashboard' }).waitFor()
  await page.getByRole('region', { name: 'Products', exact: true }).waitFor()
  await Promise.all(sizes)
  expect(scripts).toBeGreaterThan(0)
  expect(scripts, 'bytes of JavaScript, packed').toBeLessThanOrEqual(250 * 1024)
  expect([...new Set(asked)]).toEqual([own.url])
  // What it is made of, and under which terms
  const [licences] = await Promise.all([page.waitForEvent('popup'), page.getByRole('link', { name: 'Licences' }).click()])
  await licences.getByText('MIT License').first().waitFor()
  await close()
})

test('markup in names, descriptions and addresses is shown, and never run', async () => {
  // Given people who write markup wherever they can
  const attack = `<img src=x onerror="window.ran=1"><script>window.ran=1</script>`
  await send('/catalog/category/evil/add', { name: `${attack} category` }, to)
  await send('/catalog/product/evil/add', { name: `${attack} product`, description: `${attack} description`, price: 1, categoryId: 'evil' }, to)
  await send('/ordering/customer/evil/register', { email: 'evil@example.com', address: `${attack} address` }, to)
  await eventually('/ordering/available-products/evil', undefined, to)
  await send('/ordering/order/evil/place', { customerId: 'evil', productIds: ['evil'] }, to)
  await eventually<{ orderCount: number }>('/catalog/product-demands/evil', (row) => row.orderCount === 1, to)
  // When every screen shows it
  for (const [hash, shown] of [
    ['#/Catalog/Products', 'product'],
    ['#/Catalog/Product/evil', 'description'],
    ['#/Catalog/Categories', 'category'],
    ['#/Ordering/Customers', 'address'],
    ['#/Ordering/Customer/evil', 'address'],
    ['#/Ordering/AvailableProducts', 'product'],
    ['#/Catalog/ProductDemands', 'product'],
    ['#/shop', 'product'],
  ] as const) {
    const { page, complaints, close } = await visit(browser, hash, {}, own.url)
    await page.getByText(`${attack} ${shown}`).first().waitFor().catch((error: unknown) => {
      throw new Error(`${hash} does not show it: ${String(error)}`)
    })
    // Then it is text
    expect(await page.evaluate(() => 'ran' in window), hash).toBe(false)
    expect(await page.locator('img[src="x"]').count(), hash).toBe(0)
    expect(complaints, hash).toEqual([])
    await close()
  }
})
