// Measures the page of the shop at SHOP_URL with 200,000 products in it, which it first
// imports by way of the folder in SHOP_DATA. For docs/benchmarks.md.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import chromium from '@sparticuz/chromium';
import { chromium as browsers } from 'playwright-core';

const { SHOP_URL: shop, SHOP_DATA: data } = process.env;
const rows = 200_000;
const rounds = 15;

const lines = ['id,name,description,price'];
for (let i = 0; i < rows; i++) lines.push(`many-${i},Product ${i},One of very many,${1 + (i % 999)}.50`);
writeFileSync(join(data, 'product-imports', 'many.csv'), `${lines.join('\n')}\n`);
const browser = await browsers.launch({ executablePath: await chromium.executablePath(), args: chromium.args.filter((arg) => arg !== '--single-process') });
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });

const median = (of) => Math.round(of.toSorted((a, b) => a - b)[Math.floor(of.length / 2)]);
const say = (what, of) => console.log(`| ${what} | ${median(of)} ms, ${Math.round(Math.max(...of))} ms |`);

const settled = async () => {
  const { plugins } = await (await fetch(`${shop}/health`)).json();
  return plugins.every((p) => p.consumers.every((c) => c.lagSeconds === 0));
};
const imported = async () => {
  const r = await fetch(`${shop}/catalog/product-imports/many.csv`);
  return r.ok && (await r.json()).status === 'finished';
};

// During the import, the page answers to whoever uses it.
await page.goto(`${shop}/console/#/imports`);
await page.getByRole('article', { name: 'many.csv' }).waitFor();
const meanwhile = [];
while (!(await imported()) || !(await settled())) {
  for (const route of ['#/Catalog/Products', '#/']) {
    const began = performance.now();
    await page.goto(`${shop}/console/${route}`);
    await page.getByRole('heading', { level: 1, name: route === '#/' ? 'Dashboard' : 'Products' }).waitFor();
    meanwhile.push(performance.now() - began);
  }
}

// The first page, with nothing in the browser's cache.
let scripts = 0;
const first = [];
for (let round = 0; round < rounds; round++) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const fresh = await context.newPage();
  const sizes = [];
  fresh.on('requestfinished', (request) => {
    if (request.resourceType() === 'script') sizes.push(request.sizes().then((size) => size.responseBodySize, () => 0)); // 0: it came after all was shown
  });
  const began = performance.now();
  await fresh.goto(`${shop}/console/`);
  await fresh.getByRole('link', { name: 'Products', exact: true }).first().waitFor();
  first.push(performance.now() - began);
  scripts = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  await context.close();
}

// A list of 200,000 rows: the first page of it, the next, one row.
const list = [];
const next = [];
const row = [];
let shifted = 0;
for (let round = 0; round < rounds; round++) {
  await page.goto(`${shop}/console/#/`);
  await page.getByRole('heading', { level: 1, name: 'Dashboard' }).waitFor();
  let began = performance.now();
  await page.getByRole('navigation').getByRole('link', { name: 'Products', exact: true }).click();
  await page.getByRole('main').getByRole('row').nth(10).waitFor();
  list.push(performance.now() - began);
  began = performance.now();
  await page.getByRole('main').getByRole('link', { name: 'Next' }).or(page.getByRole('button', { name: 'Next' })).first().click();
  await page.waitForFunction(() => location.hash.includes('cursor'));
  await page.getByRole('main').getByRole('row').nth(10).waitFor();
  next.push(performance.now() - began);
  began = performance.now();
  await page.goto(`${shop}/console/#/Catalog/Product/many-${round}`);
  await page.getByText('State at version 1').waitFor();
  row.push(performance.now() - began);
}
const stable = await browser.newPage({ viewport: { width: 1280, height: 900 } });
await stable.goto(`${shop}/console/#/Catalog/Products`);
await stable.getByRole('main').getByRole('row').nth(10).waitFor();
shifted = await stable.evaluate(
  () =>
    new Promise((resolve) => {
      let sum = 0;
      new PerformanceObserver((entries) => entries.getEntries().forEach((entry) => (sum += entry.value))).observe({ type: 'layout-shift', buffered: true });
      setTimeout(() => resolve(sum), 500);
    }),
);
console.log('| what | median, longest |\n|---|---|');
console.log(`| JavaScript of the first page, packed | ${Math.round(scripts / 1024)} KB |`);
say('the first page, from nothing to its menu', first);
say(`a list of ${rows.toLocaleString('en')} products, from the click to its rows`, list);
say('its next page', next);
say('one product of them, with history and state', row);
say('a page during the import, from nothing', meanwhile);
console.log(`| layout shift of the list | ${shifted.toFixed(3)} |`);
await browser.close();
