import chromium from '@sparticuz/chromium'
import { chromium as playwright, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import { patience as ofTest } from './patience'

export const shop = (process.env.SHOP_URL ?? 'http://127.0.0.1:8080').replace(/\/$/, '')

/** How long anything may take, in milliseconds; less than a test. */
export const patience = ofTest / 2

/** The browser inside the registry's package, or one that is installed (CHROME). */
export async function launch(): Promise<Browser> {
  const installed = process.env.CHROME
  return playwright.launch({
    executablePath: installed ?? (await chromium.executablePath()),
    // One process only makes pages share what breaks.
    args: installed ? [] : chromium.args.filter((arg) => arg !== '--single-process'),
    headless: true,
  })
}

export interface Visit {
  page: Page
  /** What the page complained about in its console. */
  complaints: string[]
  close(): Promise<void>
}

export async function visit(browser: Browser, hash: string, options: BrowserContextOptions = {}, at = shop): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce', ...options })
  context.setDefaultTimeout(patience)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    // A row that is not there is a 404, what a rule refuses a 409: the browser reports them by itself.
    if (message.type() === 'error' && !/status of 40[49]/.test(message.text())) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  await page.goto(`${at}/console/${hash}`)
  return { page, complaints, close: () => context.close() }
}
