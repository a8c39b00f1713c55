/** What a visitor has chosen; it lives as long as the page. */
export class Basket {
  private chosen: readonly string[] = []
  private readonly listeners = new Set<() => void>()

  items = (): readonly string[] => this.chosen

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  add(id: string): void {
    if (!this.chosen.includes(id)) this.put([...this.chosen, id])
  }

  remove(id: string): void {
    this.put(this.chosen.filter((other) => other !== id))
  }

  clear(): void {
    this.put([])
  }

  private put(chosen: readonly string[]): void {
    this.chosen = chosen
    for (const listener of this.listeners) listener()
  }
}
