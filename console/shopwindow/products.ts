export interface Product {
  id: string
  name: string
  description: string
  price: number
  categoryId?: string
}

/** How the shop window's products are sorted, and what the API calls that. */
export const sortings = [
  { value: 'name', label: 'By name', sort: 'name' },
  { value: 'cheap', label: 'Cheapest first', sort: 'price' },
  { value: 'dear', label: 'Dearest first', sort: '-price' },
]

/** Orders are counted in a view of its own, which knows neither category nor price. */
export const bestsellers = { value: 'best', label: 'Bestsellers' }

/** How many there are to see at once. */
export const most = 200
