import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Browser, Page } from 'playwright-core'
import { launch, shop, visit } from './browser'
import { fill, fresh, send } from './fill'

let browser: Browser
let ids: Awaited<ReturnType<typeof fill>>

beforeAll(async () => {
  ;[browser, ids] = await Promise.all([launch(), fill()])
})

afterAll(() => browser?.close())

const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name, exact: typeof name === 'string' })

// What the shop is there for. It is tried on AWS, too.
describe('main flows', () => {
  test('it opens with the dashboard, and from there a list', async () => {
    const { page, complaints, close } = await visit(browser, '')
    await page.getByRole('heading', { level: 1, name: 'Dashboard' }).waitFor()
    await page.getByRole('link', { name: 'Products', exact: true }).first().click()
    await page.getByRole('heading', { level: 1, name: 'Products' }).waitFor()
    await page.getByText(ids.name).first().waitFor()
    expect(complaints).toEqual([])
    await close()
  })

  test('a product is added by its form, which says before what it would append', async () => {
    const { page, complaints, close } = await visit(browser, '#/Catalog/Products')
    const name = fresh('Teapot')
    await button(page, 'Add').click()
    const form = page.getByRole('dialog')
    await form.getByText('The form is not complete yet.').waitFor()
    await form.getByLabel('Name').fill(name)
    await form.getByLabel('Description').fill('Holds 1.2 l, keeps warm')
    await form.getByLabel('Price').fill('24.90')
    await form.getByText('Would append').waitFor()
    await form.getByLabel('Price').press('Enter')
    await page.getByRole('heading', { level: 1, name: name.toLowerCase() }).waitFor()
    await page.getByText('€24.90').first().waitFor()
    expect(complaints).toEqual([])
    await close()
  })

  test('an order is placed in the shop window, and its trace followed', async () => {
    const { page, complaints, close } = await visit(browser, '#/shop')
    await page.getByLabel('Search products').fill(ids.name)
    await button(page, `Add to basket: ${ids.name}`).click()
    await page.reload()
    await page.getByRole('link', { name: 'Basket (1)' }).click()
    const customer = fresh('grace')
    await page.getByLabel('Customer id').fill(customer)
    await page.getByLabel('E-mail').fill('grace@example.com')
    await page.getByLabel('Address').fill('2 Lane, Oxford')
    await button(page, 'Register').click()
    await button(page, 'Place the order').waitFor()
    // Even where the page is opened again, without the customer in its address
    await page.goto(`${shop}/console/#/shop/basket`)
    await page.reload()
    await page.getByText(`You order as ${customer}`).waitFor()
    await button(page, 'Place the order').click()
    await page.getByRole('heading', { level: 1, name: 'My orders' }).waitFor()
    await page.getByText('Placed, confirmed by e-mail, shipped.').waitFor()
    await page.getByRole('link', { name: 'See what it set off' }).click()
    await page.getByText('All done').waitFor()
    await page.getByText('Auto ship').waitFor()
    await page.getByText('Shipped').first().waitFor()
    await page.getByText('Orders extension').first().waitFor()
    expect(complaints).toEqual([])
    await close()
  })

  test('a file is dropped, imported, and its rejected rows are shown', async () => {
    const { page, complaints, close } = await visit(browser, '#/imports')
    const name = `${fresh('june')}.csv`
    const id = fresh('teapot')
    const text = `id,name,description,price\n${id},Teapot,Holds 1.2 l,24.90\n${id}-2,Spoon,,cheap\n`
    await page.getByLabel('Files to import').setInputFiles({ name, mimeType: 'text/csv', buffer: Buffer.from(text) })
    const row = page.getByRole('article', { name })
    await row.getByText('finished').waitFor()
    await button(page, 'Show rejected rows').first().click()
    await row.getByText('InvalidPrice').waitFor()
    await page.goto(`${shop}/console/#/Catalog/Product/${id}`)
    await page.getByText('€24.90').first().waitFor()
    expect(complaints).toEqual([])
    await close()
  })
})

test('a list is sorted by a click on its column, and searched; the URL says how', async () => {
  const word = fresh('lamp').replaceAll('-', '')
  for (const [id, name, price] of [['a', 'Réd', 30], ['b', 'blue', 9.5], ['c', 'Green', 100]] as const) {
    await send(`/catalog/product/${word}-${id}/add`, { name: `${name} ${word}`, description: '', price })
  }
  const { page, complaints, close } = await visit(browser, '#/Catalog/Products')
  await page.getByRole('searchbox', { name: 'Search' }).fill(word)
  const rows = page.getByRole('row').filter({ hasText: word })
  const shows = (...ids: string[]) => expect.poll(() => rows.locator('td:first-child').allInnerTexts()).toEqual(ids.map((id) => `${word}-${id}`))
  await page.getByRole('row').nth(3).filter({ hasText: word }).waitFor()
  await button(page, /^Price/).click()
  await shows('b', 'a', 'c')
  await button(page, /^Price/).click()
  await shows('c', 'a', 'b')
  expect(page.url()).toContain(`q=${word}`)
  expect(page.url()).toContain('sort=-price')
  await button(page, /^Name/).click()
  await shows('b', 'c', 'a')
  await page.getByRole('searchbox', { name: 'Search' }).fill(`${word} red`)
  await shows('a')
  await page.reload()
  await shows('a')
  expect(complaints).toEqual([])
  await close()
})

test('the shop window is sorted by price, and has the bestsellers', async () => {
  const word = fresh('vase').replaceAll('-', '')
  for (const [name, price] of [['dear', 300], ['cheap', 9.5]] as const) {
    await send(`/catalog/product/${word}-${name}/add`, { name: `${word} ${name}`, description: '', price })
  }
  const { page, complaints, close } = await visit(browser, '#/shop?sort=cheap')
  await page.getByLabel('Search products').fill(word)
  const shows = (...names: string[]) =>
    expect.poll(() => page.getByRole('article').getByRole('heading').allInnerTexts()).toEqual(names.map((name) => `${word} ${name}`))
  await shows('cheap', 'dear')
  await page.getByRole('combobox', { name: 'Sort products' }).click()
  await page.getByRole('option', { name: 'Dearest first' }).click()
  await shows('dear', 'cheap')
  await page.getByRole('combobox', { name: 'Sort products' }).click()
  await page.getByRole('option', { name: 'Bestsellers' }).click()
  await page.getByRole('article', { name: ids.name }).waitFor()
  await page.getByRole('article', { name: word }).first().waitFor({ state: 'detached' })
  expect(complaints).toEqual([])
  await close()
})

test('a form says at the field what is wrong', async () => {
  const { page, close } = await visit(browser, '#/Catalog/Products?do=Add')
  const form = page.getByRole('dialog')
  await form.getByLabel('Name').fill(' ')
  await button(page, 'Add').last().click()
  await form.getByText('May not be blank.', { exact: true }).waitFor()
  await form.getByText('Fill this in.').first().waitFor()
  await close()
})

test('a price is what was written, in a language with a comma before decimals, too', async () => {
  const { page, complaints, close } = await visit(browser, `#/Catalog/Product/${ids.product}`, { locale: 'de-DE' })
  await page.getByText(/^34,50/).first().waitFor()
  await button(page, 'Update price').click()
  const form = page.getByRole('dialog')
  const price = form.getByLabel('Price')
  await expect.poll(() => price.inputValue()).toBe('34,5')
  for (const [typed, sent] of [['12,5', '12.5'], ['0,05', '0.05'], ['3,20', '3.2'], ['7.25', '7.25']] as const) {
    await price.clear()
    await price.pressSequentially(typed)
    await form.getByText(`{"price":${sent}}`, { exact: true }).waitFor()
    expect(await price.inputValue()).toBe(typed)
  }
  await price.fill('1.234,56')
  await form.getByText('Price: Must be a number, such as 1234.5.').waitFor()
  await price.fill('-3')
  await form.getByText('Price: Must be at least 0.').waitFor()
  expect(complaints).toEqual([])
  await close()
})

test('the stepper shows the state at a version, and what changed', async () => {
  const { page, complaints, close } = await visit(browser, `#/Catalog/Product/${ids.product}`)
  const history = page.getByRole('region', { name: 'History' })
  await history.getByText('State at version 2').waitFor()
  await history.locator('ins', { hasText: '34.5' }).waitFor()
  await button(page, 'Earlier version').click()
  await history.getByText('State at version 1').waitFor()
  await history.locator('ins', { hasText: /^39$/ }).waitFor()
  expect(page.url()).toContain('version=1')
  await page.keyboard.press('ArrowRight')
  await history.getByText('State at version 2').waitFor()
  expect(complaints).toEqual([])
  await close()
})

test('somebody else was faster: it shows what changed, and asks', async () => {
  const { page, close } = await visit(browser, `#/Catalog/Product/${ids.product}`)
  await page.getByText('€34.50').waitFor()
  await button(page, 'Update price').click()
  const form = page.getByRole('dialog')
  await form.getByLabel('Price').fill('20')
  await form.getByText('Would append').waitFor()
  await send(`/catalog/product/${ids.product}/update-price`, { price: 30 })
  await form.getByRole('button', { name: 'Update price' }).click()
  await form.getByText('Somebody else was faster').first().waitFor()
  await form.getByText('{"price":30}').waitFor()
  await form.getByRole('button', { name: 'Send it all the same' }).click()
  await page.getByText('€20.00').first().waitFor()
  await close()
})

test('Ctrl-K opens what an id names', async () => {
  const { page, close } = await visit(browser, '#/')
  await page.getByRole('heading', { level: 1, name: 'Dashboard' }).waitFor()
  await button(page, 'Go to Ctrl K').waitFor()
  await page.keyboard.press('Control+k')
  await page.getByRole('textbox', { name: 'Search and go' }).fill(`Ordering.Order#${ids.order}`)
  await page.getByText('Open', { exact: true }).waitFor()
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { level: 1, name: ids.order }).waitFor()
  await close()
})

test('Ctrl-K opens the row that an id names, with Enter alone', async () => {
  const { page, close } = await visit(browser, '#/')
  await page.getByRole('heading', { level: 1, name: 'Dashboard' }).waitFor()
  await page.keyboard.press('Control+k')
  await page.getByRole('textbox', { name: 'Search and go' }).pressSequentially(ids.product)
  await page.getByRole('button', { name: `${ids.product} Products` }).waitFor()
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { level: 1, name: ids.product }).waitFor()
  await close()
})

test('a basket outlives its customer and its products, and is nobody else’s', async () => {
  const { page, complaints, close } = await visit(browser, '#/shop')
  const customer = fresh('heidi')
  await send(`/ordering/customer/${customer}/register`, { email: 'heidi@example.com', address: '3 Lane, Oxford' })
  await page.getByLabel('Search products').fill(ids.name)
  await button(page, `Add to basket: ${ids.name}`).click()
  await page.getByRole('link', { name: 'Basket (1)' }).click()
  await page.getByLabel('Customer id').fill(customer)
  await button(page, 'I am registered already').click()
  await page.getByText(`You order as ${customer}`).waitFor()
  // When the customer is erased, and the shop has lost a product that was chosen
  await send(`/ordering/customer/${customer}/erase`)
  await page.evaluate(() => {
    const kept = JSON.parse(sessionStorage.getItem('shopwindow.local')!)
    sessionStorage.setItem('shopwindow.local', JSON.stringify({ ...kept, chosen: ['lost', ...kept.chosen] }))
  })
  await page.reload()
  // Then both are said, and can be put right
  await page.getByText(`The customer ${customer} was erased.`).waitFor()
  await page.getByText('not available').waitFor()
  await button(page, 'Remove lost').click()
  await page.getByText('not available').waitFor({ state: 'detached' })
  await page.getByRole('heading', { name: 'Who are you?' }).waitFor()
  await page.getByText(ids.name).waitFor()
  // And who acts as somebody else has a basket of one's own
  await button(page, 'You are local').click()
  await page.getByLabel('Act as user').fill('ivan')
  await button(page, 'Act as ivan').click()
  await page.getByText('Your basket is empty.').waitFor()
  expect(complaints).toEqual([])
  await close()
})

test('what is typed into a search leaves nothing for the back button', async () => {
  const { page, close } = await visit(browser, '#/')
  await page.getByRole('link', { name: 'Shop window' }).click()
  await page.getByLabel('Search products').pressSequentially('kettle')
  await expect.poll(() => page.url()).toContain('q=kettle')
  await page.goBack()
  await page.getByRole('heading', { level: 1, name: 'Dashboard' }).waitFor()
  await close()
})

test('the menu shows where one is, also where it is longer than the window', async () => {
  const { page, close } = await visit(browser, '#/map', { viewport: { width: 1280, height: 500 } })
  const entry = page.getByRole('navigation').getByRole('link', { name: 'Map' })
  await entry.waitFor()
  await expect.poll(async () => (await entry.boundingBox())!.y).toBeLessThan(500)
  await close()
})

test('a view is rebuilt, and says how far it is', async () => {
  const { page, close } = await visit(browser, '#/views')
  await button(page, 'Rebuild Products').click()
  await page.getByText(/Done, \d+ rows\./).waitFor()
  await close()
})

test('acting as a customer, what one may not do is not offered', async () => {
  const { page, close } = await visit(browser, '#/Catalog/Products')
  await button(page, 'Add').waitFor()
  await button(page, 'You are local').click()
  await page.getByLabel('Act as user').fill(ids.customer)
  await button(page, `Act as ${ids.customer}`).click()
  await button(page, `You are ${ids.customer}`).waitFor()
  await button(page, 'Add').waitFor({ state: 'detached' })
  await page.getByRole('link', { name: 'Failures' }).waitFor({ state: 'detached' })
  await close()
})

test('while the server is away the page says so, and goes on by itself', async () => {
  const { page, close } = await visit(browser, '#/Catalog/Products')
  await page.getByText(ids.name).waitFor()
  await page.context().setOffline(true)
  await page.getByText('Away', { exact: true }).waitFor()
  await page.context().setOffline(false)
  await page.getByText('Live', { exact: true }).waitFor()
  await close()
})

test('what is filtered is exported', async () => {
  const { page, close } = await visit(browser, `#/Catalog/Products?categoryId=${ids.category}`)
  await page.getByText(ids.name).waitFor()
  const [download] = await Promise.all([page.waitForEvent('download'), button(page, 'Export CSV').click()])
  expect(download.suggestedFilename()).toBe('Products.csv')
  await close()
})
