import type { Parked } from '../api/types'

export interface ParkedGroup {
  consumer: string
  error: string
  items: Parked[]
}

/** Failures of one kind together, the largest group first. */
export function groupParked(items: Parked[]): ParkedGroup[] {
  const groups = new Map<string, ParkedGroup>()
  for (const item of items) {
    const key = `${item.consumer}\n${item.error}`
    const group = groups.get(key) ?? { consumer: item.consumer, error: item.error, items: [] }
    group.items.push(item)
    groups.set(key, group)
  }
  return [...groups.values()].sort((a, b) => b.items.length - a.items.length)
}
