import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Browser } from 'playwright-core'
import { expectAccessible } from './axe'
import { launch, visit } from './browser'
import { OwnShop } from './serve'

// The conformance suite's plugins, Lending and Press, in the shop's place: what the page
// knows of them is what they say themselves. `make test-console` builds the program.
let browser: Browser
let library: OwnShop

beforeAll(async () => {
  ;[browser, library] = await Promise.all([launch(), OwnShop.start([], {}, 'library')])
})

afterAll(async () => {
  await browser?.close()
  await library?.close()
})

const open = (hash: string) => visit(browser, hash, { bypassCSP: true }, library.url)

test('plugins that the page has never seen are listed, changed, followed and drawn', async () => {
  // Given a shop of other plugins, with nothing in it
  const { page, complaints, close } = await open('#/')
  const button = (name: string) => page.getByRole('button', { name, exact: true })
  const form = page.getByRole('dialog')
  await page.getByRole('heading', { level: 1, name: 'Dashboard' }).waitFor()
  await page.getByRole('region', { name: 'Press', exact: true }).waitFor()
  expect(await button('Load the demo').count(), 'no demo of another shop').toBe(0)

  // When somebody adds the first row where the empty list says so
  await page.getByRole('link', { name: 'Books', exact: true }).first().click()
  await page.getByText('Add the first one with “Acquire” above.').waitFor()
  expect(await button('Lend').count(), 'what only changes is not offered for nothing').toBe(0)
  await button('Acquire').click()
  await form.getByLabel('Id').fill('b1')
  await form.getByLabel('Text').fill('Dune')
  await form.getByText('Would append').waitFor()
  await form.getByRole('button', { name: 'Acquire' }).click()

  // Then its page shows it in both views, and offers what changes it
  await page.getByRole('heading', { level: 1, name: 'b1' }).waitFor()
  for (const name of ['Books', 'Shelf']) await page.getByRole('region', { name, exact: true }).getByText('Dune').waitFor()
  await expect.poll(() => button('Acquire').count(), { message: 'what only creates is not offered for what is there' }).toBe(0)

  // When that is sent
  await button('Lend').click()
  await form.getByLabel('Text').fill('ann')
  await form.getByText('Would append').waitFor()
  await form.getByRole('button', { name: 'Lend' }).click()

  // Then its history has both, with the state at each
  const history = page.getByRole('region', { name: 'History' })
  await history.getByText('State at version 2').waitFor()
  await button('Earlier version').click()
  await history.getByText('State at version 1').waitFor()
  await expectAccessible(page, 'a book')

  // And its trace what it set off, in the other plugin, too
  await page.goto(`${library.url}/console/#/trace/${encodeURIComponent('Lending.Book#b1')}/2`)
  await page.getByText('All done').waitFor()
  for (const follower of ['Remind', 'Congratulate', 'Books extension', 'Announce']) await page.getByText(follower, { exact: true }).first().waitFor()
  for (const stream of ['Lending.Reader#ann', 'Press.Article#b1']) await page.getByRole('link', { name: stream }).first().waitFor()

  // And the list names it, and filters as its view declares
  await page.goto(`${library.url}/console/#/Lending/Books`)
  await page.getByRole('link', { name: 'Dune' }).waitFor()
  await page.getByLabel('Holder').fill('nobody')
  await page.getByLabel('Holder').press('Enter')
  await page.getByText('Nothing matches this filter.').waitFor()

  // And the map draws it all
  await page.goto(`${library.url}/console/#/map?part=aggregate:Lending.Book`)
  await page.getByText('Command Lend').waitFor()
  for (const part of ['mapping:Lending.Remind', 'point:Lending.Books', 'extension:Press.Books_Extension', 'effect:Press.Announce', 'view:Lending.Shelf'])
    await page.locator(`.react-flow__node[data-id="${part}"]`).waitFor()
  await page.locator('.edge-refused').getByText('if refused').first().waitFor()
  expect(await page.locator('[data-id="point:Lending.Books→effect:Press.Announce"]').count(), 'what the press hears is drawn').toBe(1)
  expect(await page.locator('[data-id="task:Lending.Stock→aggregate:Lending.Reader"]').count(), 'what a task sends to is drawn').toBe(1)
  expect(await page.locator('[data-id="view:Lending.Probes→task:Lending.Stock reads"]').count(), 'what a task reads is drawn').toBe(1)
  // And a schedule of a task runs when somebody says so
  await page.goto(`${library.url}/console/#/schedules`)
  await page.getByRole('link', { name: 'Schedules', exact: true }).waitFor()
  await page.getByText('Not run yet').waitFor()
  await expectAccessible(page, 'schedules')
  await button('Run now: Lending.Stock.Nightly').click()
  await page.getByText('Done', { exact: true }).waitFor()
  expect(complaints).toEqual([])
  await close()
})

test('a plugin without views has its histories', async () => {
  const { page, complaints, close } = await open('#/Press/Article')
  await page.getByRole('heading', { level: 1, name: 'Article histories' }).waitFor()
  await expectAccessible(page, 'histories')
  expect(complaints).toEqual([])
  await close()
})
