import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Browser, Page } from 'playwright-core'
import { expectAccessible } from './axe'
import { launch, visit } from './browser'
import { eventually } from './fill'
import { OwnShop } from './serve'

let browser: Browser
let own: OwnShop

beforeAll(async () => {
  ;[browser, own] = await Promise.all([launch(), OwnShop.start()])
})

afterAll(async () => {
  await browser?.close()
  await own?.close()
})

async function drop(page: Page, files: Record<string, string>) {
  const dropped = await page.evaluateHandle((given) => {
    const transfer = new DataTransfer()
    for (const [name, text] of Object.entries(given)) transfer.items.add(new File([text], name, { type: 'text/csv' }))
    return transfer
  }, files)
  await page.getByText('Drop CSV files here').dispatchEvent('drop', { dataTransfer: dropped })
}

test('several files are dropped at once, and each says how it went and what to do', async () => {
  const { page, complaints, close } = await visit(browser, '#/imports', { bypassCSP: true }, own.url)
  await page.getByText('Nothing imported yet.').waitFor()
  await drop(page, {
    'good.csv': 'id,name,description,price\nmug,Mug,For tea,7.50\n',
    'semicolons.csv': 'id;name;description;price\nteapot;Teapot;"Keeps warm; 1.2 l";24,90\n',
    'spaces.csv': 'id name description price\nbowl Bowl x 3.00\n',
    'rows.csv': 'id,name,description,price\nspoon,Spoon,,cheap\nfork,,,1\nknife,Knife,,4\n',
  })
  for (const name of ['good.csv', 'semicolons.csv', 'spaces.csv', 'rows.csv']) {
    await page.getByRole('progressbar', { name: `${name} is uploaded` }).waitFor()
    await page.getByRole('article', { name }).waitFor()
  }
  await expect.poll(() => page.getByText('Uploaded', { exact: true }).count()).toBe(4)
  const of = (name: string) => page.getByRole('article', { name })
  await of('good.csv').getByText('Added 1').waitFor()
  await of('semicolons.csv').getByText('read as text separated by semicolons, in UTF-8, with decimal commas').waitFor()
  await of('spaces.csv').getByText(/the header row lacks name, description, price/).waitFor()
  await of('spaces.csv').getByText('Mend the file and drop it again.').waitFor()

  // Rejected rows are shown, with why and what to do
  const rows = of('rows.csv')
  await rows.getByRole('button', { name: 'Show rejected rows' }).click()
  await rows.getByRole('row', { name: /^2 .*price "cheap" must be/ }).waitFor()
  await rows.getByRole('row', { name: /^3 .*name must have 1 to 200 characters/ }).waitFor()
  await rows.getByText('Mend these rows in the file and drop it again: what was added stays as it is.').waitFor()
  await expectAccessible(page, 'imports')
  const [report] = await Promise.all([page.waitForEvent('download'), rows.getByRole('button', { name: 'Save the report' }).click()])
  expect(report.suggestedFilename()).toBe('report-of-rows.csv')

  // Doing it mends them
  await drop(page, { 'rows.csv': 'id,name,description,price\nspoon,Spoon,,2\nfork,Fork,,1\nknife,Knife,,4\n' })
  await rows.getByText('Added 2').waitFor()
  await rows.getByText('Unchanged 1').waitFor()
  await rows.getByText('Rejected 0').waitFor()
  expect(complaints).toEqual([])
  await close()
})

test('the newest import is shown, however many there were before it', async () => {
  // Given more imports than are shown at once
  for (let i = 0; i < 100; i++) {
    const text = 'id,name,description,price\n'
    const target = await fetch(`${own.url}/catalog/product-imports/uploads`, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ key: `a-${i}.csv`, size: text.length }),
    })
    const { method, url, headers } = (await target.json()) as { method: string; url: string; headers: Record<string, string> }
    expect((await fetch(new URL(url, own.url), { method, headers, body: text })).ok).toBe(true)
  }
  await eventually<{ status: string }>('/catalog/product-imports/a-99.csv', ({ status }) => status !== 'running', { url: own.url })
  // When another one comes, whose key is after theirs
  const { page, complaints, close } = await visit(browser, '#/imports', {}, own.url)
  await page.getByRole('article', { name: 'a-99.csv' }).waitFor()
  await drop(page, { 'zz.csv': 'id,name,description,price\nzz,Cup,,1\n' })
  // Then it is the first
  await page.getByRole('article').first().filter({ hasText: 'zz.csv' }).getByText('Added 1').waitFor()
  // And the list of all of them starts with it, too
  await page.getByRole('link', { name: 'all of them' }).click()
  await page.getByRole('row').nth(1).filter({ hasText: 'zz.csv' }).waitFor()
  expect(complaints).toEqual([])
  await close()
})
