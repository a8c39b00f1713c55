import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { OAuth2Server } from 'oauth2-mock-server'
import type { Browser, Page } from 'playwright-core'
import { expectAccessible } from './axe'
import { launch, visit } from './browser'
import { eventually, send, type To } from './fill'
import { OwnShop } from './serve'

const audience = 'console'

interface Person {
  sub: string
  groups?: string[]
  aud?: string
  exp?: number
}

const boss: Person = { sub: 'boss', groups: ['Admin'] }
const ann: Person = { sub: 'ann' }

let browser: Browser
let provider: OAuth2Server
let own: OwnShop
let next: Person // who signs in at the provider, without being asked
let asked = 0 // how often the provider was asked to sign somebody in

const tokenOf = (person: Person): Promise<string> =>
  provider.issuer.buildToken({ scopesOrTransform: (_, payload) => void Object.assign(payload, { aud: audience, ...person }) })

beforeAll(async () => {
  provider = new OAuth2Server()
  await provider.issuer.keys.generate('RS256')
  await provider.start(0, '127.0.0.1')
  provider.service.on('beforeTokenSigning', (token: { payload: object }) => Object.assign(token.payload, { aud: audience, ...next }))
  provider.service.on('beforeAuthorizeRedirect', () => void asked++)
  ;[browser, own] = await Promise.all([launch(), OwnShop.start(['--auth', 'jwt', '--jwt-issuer', provider.issuer.url!, '--jwt-audience', audience])])
  const to: To = { url: own.url, headers: { Authorization: `Bearer ${await tokenOf(boss)}` } }
  await send('/catalog/product/mug/add', { name: 'Mug', description: 'For tea', price: 7.5 }, to)
  await eventually('/ordering/available-products/mug', () => true, to)
  for (const id of ['ann', 'bob']) {
    const theirs: To = { url: own.url, headers: { Authorization: `Bearer ${await tokenOf({ sub: id })}` } }
    await send(`/ordering/customer/${id}/register`, { email: `${id}@example.com`, address: '1 Lane, Oxford' }, theirs)
    await send(`/ordering/order/of-${id}/place`, { customerId: id, productIds: ['mug'] }, to)
    await eventually(`/ordering/orders/of-${id}?minVersion=2`, () => true, to)
  }
})

afterAll(async () => {
  await browser?.close()
  await own?.close()
  await provider?.stop()
})

beforeEach(() => {
  asked = 0
})

const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name, exact: typeof name === 'string' })

/** Opens a page as somebody, and notes whom it talks to. */
async function as(person: Person, hash: string) {
  next = person
  const visited = await visit(browser, 'assets/none', {}, own.url)
  const origins = new Set<string>()
  visited.page.on('request', (request) => origins.add(new URL(request.url()).origin))
  await visited.page.goto(`${own.url}/console/${hash}`)
  return { ...visited, origins }
}

test('an Admin signs in, is where the address led, sees all and may act', async () => {
  const { page, complaints, origins, close } = await as(boss, '#/Catalog/Product/mug')
  await button(page, 'You are boss').waitFor()
  await page.getByRole('heading', { level: 1, name: 'mug' }).waitFor()
  await page.getByRole('link', { name: 'Failures' }).waitFor()
  await button(page, 'Update price').click()
  await page.getByRole('dialog').getByLabel('Price').fill('6.95')
  await page.getByRole('dialog').getByRole('button', { name: 'Update price' }).click()
  await page.getByText('€6.95').first().waitFor()
  expect(asked).toBe(1)
  // Tokens stay in memory, and nobody else hears of anything.
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]))
  expect(kept).not.toMatch(/eyJ|token/)
  expect(page.url()).not.toContain('code=')
  expect([...origins].sort()).toEqual([own.url, provider.issuer.url].sort())
  expect(complaints).toEqual([])
  await close()
})

test('the policy lets the page talk to the shop and the provider alone', async () => {
  const { page, close } = await as(boss, '#/')
  await button(page, 'You are boss').waitFor()
  const refused = await page.evaluate(
    () =>
      new Promise<string>((resolve) => {
        addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) => resolve(`${effectiveDirective} ${blockedURI}`))
        void fetch('http://127.0.0.2:9/').catch(() => undefined)
      }),
  )
  expect(refused).toBe('connect-src http://127.0.0.2:9/')
  await close()
})

test('a customer sees what is theirs, and no operations', async () => {
  const { page, complaints, close } = await as(ann, '#/Ordering/Orders')
  await button(page, 'You are ann').waitFor()
  await page.getByText('of-ann').first().waitFor()
  expect(await page.getByText('of-bob').count()).toBe(0)
  for (const name of ['Failures', 'Imports', 'Views']) expect(await page.getByRole('link', { name, exact: true }).count(), name).toBe(0)
  await page.goto(`${own.url}/console/#/Ordering/Customers`)
  await page.getByText('ann@example.com').waitFor()
  expect(await page.getByText('bob@example.com').count()).toBe(0)
  await page.goto(`${own.url}/console/#/trace/${encodeURIComponent('Ordering.Order#of-ann')}/1`)
  await page.getByText('All done').waitFor()
  expect(complaints).toEqual([])
  await page.goto(`${own.url}/console/#/trace/${encodeURIComponent('Ordering.Order#of-bob')}/1`)
  await page.getByRole('alert').waitFor()
  expect(await page.getByText('Placed').count()).toBe(0)
  await close()
})

test('who signs out stays out until they sign in again', async () => {
  const { page, close } = await as(ann, '#/Ordering/Orders')
  await button(page, 'You are ann').click()
  await button(page, 'Sign out').click()
  await page.getByText('You are signed out.').waitFor()
  expect(asked).toBe(1)
  await page.reload()
  await page.getByText('You are signed out.').waitFor()
  expect(asked).toBe(1)
  next = boss
  await button(page, 'Sign in').click()
  await button(page, 'You are boss').waitFor()
  await close()
})

test('where the session ends, signing in again loses nothing that was typed', async () => {
  const { page, close } = await as(boss, '#/Catalog/Products?do=Add')
  const form = page.getByRole('dialog', { name: /^Add/ })
  await form.getByLabel('Name').fill('Teapot')
  await form.getByLabel('Description').fill('Keeps warm')
  await form.getByLabel('Price').fill('24.90')
  await form.getByText('Would append').waitFor()
  // From now on the shop is sent a token that has run out
  const late = await tokenOf({ ...boss, exp: Math.floor(Date.now() / 1000) - 60 })
  await page.route(`${own.url}/**`, (route, request) =>
    route.continue(request.headers().authorization ? { headers: { ...request.headers(), authorization: `Bearer ${late}` } } : {}),
  )
  await form.getByLabel('Price').press('Enter')
  const ended = page.getByRole('alertdialog')
  await ended.getByText('Your session ended').waitFor()
  await page.unroute(`${own.url}/**`)
  const [beside] = await Promise.all([page.waitForEvent('popup'), button(page, 'Sign in again').click()])
  if (!beside.isClosed()) await beside.waitForEvent('close')
  await ended.waitFor({ state: 'detached' })
  expect(await form.getByLabel('Name').inputValue()).toBe('Teapot')
  await form.getByLabel('Price').press('Enter')
  await page.getByRole('heading', { level: 1, name: 'teapot' }).waitFor()
  await close()
})

test('a token that the shop does not take is said, and not asked for on and on', async () => {
  const { page, close } = await as({ ...boss, aud: 'somebody-else' }, '#/')
  await page.getByText(/The shop does not take this sign-in: .*its audience is not "console"/).waitFor()
  await expectAccessible(page, 'signed out')
  expect(asked).toBe(1)
  next = boss
  await button(page, 'Sign in').click()
  await button(page, 'You are boss').waitFor()
  await close()
})

test('a provider that is away is said, and tried again', async () => {
  next = boss
  const { page, close } = await visit(browser, 'assets/none', {}, own.url)
  const description = `${provider.issuer.url}/.well-known/openid-configuration`
  await page.route(description, (route) => route.abort())
  await page.goto(`${own.url}/console/#/`)
  await page.getByText(`The sign-in provider ${provider.issuer.url} could not be reached.`).waitFor()
  await page.unroute(description)
  await button(page, 'Sign in').click()
  await button(page, 'You are boss').waitFor()
  await close()
})
