import { useSyncExternalStore } from 'react'

/** Something that holds or does not, which components follow. */
export class Fact {
  private held = false
  private readonly listeners = new Set<() => void>()

  set(holds: boolean): void {
    if (this.held === holds) return
    this.held = holds
    for (const listener of this.listeners) listener()
  }

  holds = (): boolean => this.held

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }
}

export const useFact = (fact: Fact): boolean => useSyncExternalStore(fact.subscribe, fact.holds)
