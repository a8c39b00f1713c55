/** Where what a visitor has chosen is kept, as in a browser's tab. */
type Store = Pick<Storage, 'getItem' | 'setItem'>

/** What an order is sent under, so that it takes effect once however often it is sent. */
interface Order {
  /** Who orders what: where that changes, it is another order. */
  of: string
  id: string
  key: string
}

interface Kept {
  chosen: readonly string[]
  customer?: string
  order?: Order
}

const nothing: Kept = { chosen: [] }

/** What visitors have chosen, and as whom they order: for each user, and kept so that a reload loses nothing. */
export class Basket {
  private readonly known = new Map<string, Kept>()
  private readonly listeners = new Set<() => void>()

  constructor(
    private readonly user: () => string,
    private readonly store: () => Store,
  ) {}

  items = (): readonly string[] => this.kept().chosen

  /** Whom the visitor has said to be. */
  customer = (): string | undefined => this.kept().customer

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  add(id: string): void {
    if (!this.items().includes(id)) this.put({ chosen: [...this.items(), id] })
  }

  remove(id: string): void {
    this.put({ chosen: this.items().filter((other) => other !== id) })
  }

  clear(): void {
    this.put({ chosen: [], order: undefined })
  }

  become(customer: string | undefined): void {
    this.put({ customer })
  }

  /** The order of what was chosen. It stays the same until it was answered, also after a reload. */
  orderAs(customer: string): { id: string; key: string } {
    const of = JSON.stringify([customer, this.items()])
    const { order } = this.kept()
    if (order?.of === of) return order
    const made = { of, id: `order-${crypto.randomUUID().slice(0, 8)}`, key: crypto.randomUUID() }
    this.put({ order: made })
    return made
  }

  private kept(): Kept {
    const user = this.user()
    const kept = this.known.get(user) ?? this.read(user)
    this.known.set(user, kept)
    return kept
  }

  private put(changes: Partial<Kept>): void {
    const user = this.user()
    const kept = { ...this.kept(), ...changes }
    this.known.set(user, kept)
    try {
      this.store().setItem(placeOf(user), JSON.stringify(kept))
    } catch {
      // Where the browser keeps nothing, it lives as long as the page.
    }
    for (const listener of this.listeners) listener()
  }

  private read(user: string): Kept {
    try {
      const { chosen, customer, order } = JSON.parse(this.store().getItem(placeOf(user)) ?? 'null') as Record<keyof Kept, unknown>
      return {
        chosen: Array.isArray(chosen) ? chosen.filter((id) => typeof id === 'string') : [],
        customer: typeof customer === 'string' ? customer : undefined,
        order: isOrder(order) ? order : undefined,
      }
    } catch {
      return nothing // None was kept, or it is of another version of this page.
    }
  }
}

const placeOf = (user: string): string => `shopwindow.${user}`

function isOrder(x: unknown): x is Order {
  const { of, id, key } = (x ?? {}) as Record<keyof Order, unknown>
  return typeof of === 'string' && typeof id === 'string' && typeof key === 'string'
}
