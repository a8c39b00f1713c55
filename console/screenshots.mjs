// Takes the README's pictures of the shop at SHOP_URL, which has the demo in it.
import chromium from '@sparticuz/chromium';
import { chromium as browsers } from 'playwright-core';

const shop = process.env.SHOP_URL;
const shots = [
  { name: 'product', route: '#/Catalog/Product/desk-lamp', shown: 'State at version 2' },
  { name: 'trace', route: '#/trace/Ordering.Order%23order-1001/1', shown: 'Auto ship' },
  { name: 'shop', route: '#/shop', shown: 'Add to basket' },
  { name: 'map', route: '#/map', shown: 'Available products' },
];
const browser = await browsers.launch({ executablePath: await chromium.executablePath(), args: chromium.args });
const page = await browser.newPage({ viewport: { width: 1200, height: 760 } });
for (const { name, route, shown } of shots) {
  await page.goto(`${shop}/console/${route}`);
  await page.getByRole('main').getByText(shown).first().waitFor();
  await page.screenshot({ path: `../docs/console/${name}.png` });
}
await browser.close();
