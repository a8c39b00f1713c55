import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Browser } from 'playwright-core'
import { expectAccessible } from './axe'
import { launch, visit } from './browser'
import { eventually, send, type To } from './fill'
import { OwnShop } from './serve'

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

test('e-mails are read as they were sent, the newest first, and never run', async () => {
  const { page, complaints, close } = await visit(browser, '#/mail', { bypassCSP: true }, own.url)
  await page.getByText('No e-mail was sent yet.').waitFor()
  await send('/catalog/product/mug/add', { name: 'Mug', description: 'For tea', price: 7.5 }, to)
  await send('/ordering/customer/ann/register', { email: 'ann@example.com', address: '1 Lane, Oxford' }, to)
  await eventually('/ordering/available-products/mug', () => true, to)
  await send('/ordering/order/o1/place', { customerId: 'ann', productIds: ['mug'] }, to)
  const message = page.getByRole('article', { name: 'Message' })
  await message.getByRole('heading', { name: 'Your order o1' }).waitFor()
  await message.getByText('Thank you for your order o1 of').waitFor()
  await message.getByText('ann@example.com').waitFor()
  // A message with markup, which is the newest
  const markup = '<img src=x onerror="document.title=\'run\'"><script>document.title="run"</script>'
  await writeFile(
    join(own.data, 'emails', 'm2.eml'),
    `From: shop@example.com\r\nTo: bob@example.com\r\nSubject: =?utf-8?q?M=C3=BCsli_<b>?=\r\nDate: ${new Date().toUTCString()}\r\n\r\n${markup}`,
  )
  const list = page.getByRole('navigation', { name: 'E-mails' }).getByRole('link')
  await list.nth(1).waitFor()
  expect(await list.first().innerText()).toContain('Müsli <b>')
  await list.first().click()
  await message.getByText(markup).waitFor()
  expect(page.url()).toContain('#/mail/m2')
  expect(await page.title()).not.toBe('run')
  await expectAccessible(page, 'mail')
  expect(complaints).toEqual([])
  await close()
})

test('mail is in the menu of Admins alone', async () => {
  const { page, close } = await visit(browser, '#/', {}, own.url)
  await page.getByRole('link', { name: 'Mail' }).waitFor()
  await page.getByRole('button', { name: 'You are local' }).click()
  await page.getByLabel('Act as user').fill('ann')
  await page.getByRole('button', { name: 'Act as ann' }).click()
  await page.getByRole('link', { name: 'Mail' }).waitFor({ state: 'detached' })
  await close()
})
