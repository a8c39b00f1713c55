import { patience, shop } from './browser'

/** Who sends, where the shop wants to know. */
const headers: Record<string, string> = process.env.SHOP_TOKEN ? { Authorization: `Bearer ${process.env.SHOP_TOKEN}` } : {}

let nr = 0

/** An id that no earlier run used. */
export const fresh = (name: string): string => `${name}-${Date.now().toString(36)}-${nr++}`

/** Whom requests go to, and as whom. */
export interface To {
  url: string
  headers?: Record<string, string>
}

const everybodys: To = { url: shop, headers }

export async function send(path: string, body: object = {}, to = everybodys): Promise<void> {
  const response = await fetch(`${to.url}${path}`, { method: 'POST', headers: { 'Content-Type': 'application/json', ...to.headers }, body: JSON.stringify(body) })
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
}

/** Asks until it is there. */
export async function eventually<T>(path: string, ready: (body: T) => boolean = () => true, to = everybodys): Promise<T> {
  for (const end = Date.now() + patience; Date.now() < end; ) {
    const response = await fetch(`${to.url}${path}`, { headers: to.headers })
    if (response.ok) {
      const body = (await response.json()) as T
      if (ready(body)) return body
    }
    await new Promise((resume) => setTimeout(resume, 100))
  }
  throw new Error(`${path} is still not there`)
}

/** A category, a product with two versions, a customer and an order to look at. */
export async function fill() {
  const ids = { category: fresh('category'), product: fresh('product'), customer: fresh('customer'), order: fresh('order'), name: fresh('Kettle') }
  await send(`/catalog/category/${ids.category}/add`, { name: 'Kitchen' })
  await send(`/catalog/product/${ids.product}/add`, { name: ids.name, description: 'Holds 1.2 l', price: 39, categoryId: ids.category })
  await send(`/catalog/product/${ids.product}/update-price`, { price: 34.5 })
  await send(`/ordering/customer/${ids.customer}/register`, { email: 'ann@example.com', address: '1 Lane, Oxford' })
  await eventually(`/ordering/available-products/${ids.product}`)
  await send(`/ordering/order/${ids.order}/place`, { customerId: ids.customer, productIds: [ids.product] })
  await eventually<{ orderCount: number }>(`/catalog/product-demands/${ids.product}`, (row) => row.orderCount === 1)
  return ids
}
