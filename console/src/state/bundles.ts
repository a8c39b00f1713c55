import type { ComponentType } from 'react'
import type { ConsoleApi, PageDefinition, Register, Row, RowAction } from '../../bundle'

/** What plugins' bundles added to the console. */
export class Bundles {
  readonly pages: PageDefinition[] = []
  readonly failures: { plugin: string; url: string; error: unknown }[] = []
  private readonly renderers = new Map<string, ComponentType<{ value: unknown; row: Row }>>()
  private readonly actions = new Map<string, RowAction[]>()
  private readonly slots = new Map<string, ComponentType<{ context: unknown }>[]>()

  addPage = (page: PageDefinition): void => void this.pages.push(page)

  addFieldRenderer: ConsoleApi['addFieldRenderer'] = (view, field, component) => void this.renderers.set(`${view}.${field}`, component)

  addRowAction: ConsoleApi['addRowAction'] = (view, action) => void this.actions.set(view, [...this.rowActions(view), action])

  fillSlot: ConsoleApi['fillSlot'] = (name, component) => void this.slots.set(name, [...this.slot(name), component])

  /** Takes over all that others hold. */
  take(others: Bundles): void {
    this.pages.push(...others.pages)
    for (const [field, component] of others.renderers) this.renderers.set(field, component)
    for (const [view, actions] of others.actions) this.actions.set(view, [...this.rowActions(view), ...actions])
    for (const [name, parts] of others.slots) this.slots.set(name, [...this.slot(name), ...parts])
  }

  page(path: string): PageDefinition | undefined {
    return this.pages.find((p) => p.path === path)
  }

  renderer(view: string, field: string): ComponentType<{ value: unknown; row: Row }> | undefined {
    return this.renderers.get(`${view}.${field}`)
  }

  rowActions(view: string): RowAction[] {
    return this.actions.get(view) ?? []
  }

  slot(name: string): ComponentType<{ context: unknown }>[] {
    return this.slots.get(name) ?? []
  }
}

/** How long a bundle may take, so that one that never comes keeps nobody from the others'. */
const longest = 10_000

/** Loads each plugin's bundle; one that fails costs its own parts alone. */
export async function loadBundles(plugins: { name: string; uiBundleUrl?: string }[], apiFor: (added: Bundles) => ConsoleApi): Promise<Bundles> {
  const bundles = new Bundles()
  await Promise.all(
    plugins.map(async ({ name, uiBundleUrl }) => {
      if (!uiBundleUrl) return
      const url = new URL(uiBundleUrl, document.baseURI).href
      try {
        const module = (await inTime(import(/* @vite-ignore */ url))) as Partial<{ register: Register }>
        if (typeof module.register !== 'function') throw new Error('It does not export register.')
        const added = new Bundles()
        module.register(apiFor(added))
        bundles.take(added)
      } catch (error) {
        bundles.failures.push({ plugin: name, url, error })
      }
    }),
  )
  return bundles
}

function inTime<T>(loading: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`It did not come within ${longest / 1000} seconds.`)), longest)
    loading.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
