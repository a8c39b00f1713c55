/**
 * A plugin's bundle is an ES module that exports `register`. The console loads it from the
 * plugin's `uiBundleUrl` when a page needs it, and hands it all that it may use, React included.
 * docs/console.md has an example.
 */
import type * as React from 'react'
import type * as Mantine from '@mantine/core'

export type Kit = Pick<
  typeof Mantine,
  | 'ActionIcon' | 'Alert' | 'Anchor' | 'Badge' | 'Button' | 'Card' | 'Center' | 'Chip' | 'Divider' | 'Drawer' | 'Group'
  | 'Indicator' | 'Loader' | 'NumberInput' | 'Paper' | 'Progress' | 'Select' | 'SimpleGrid' | 'Skeleton' | 'Stack' | 'Table'
  | 'Text' | 'TextInput' | 'Textarea' | 'Title'
>

export type Row = { id: string } & Record<string, unknown>

export interface Accepted {
  aggregate: string
  id: string
  version: number
  events: string[]
}

/** What the server refused has its problem; a server that is away has none. */
export interface BundleError extends Error {
  problem?: { status: number; code: string; detail: string; correlationId?: string; [member: string]: unknown }
}

export interface View {
  data?: { items: Row[]; next?: string }
  error: BundleError | null
  isPending: boolean
}

export interface PageDefinition {
  /** The page's place: `shop/orders` is `#/shop/orders`. */
  path: string
  title: string
  /** False keeps the page out of the menu. */
  menu?: boolean
  component: React.ComponentType<{ query: URLSearchParams }>
}

export interface RowAction {
  label: string
  run(row: Row): void
}

export interface ConsoleApi {
  react: typeof React
  /** Some of Mantine's components, as the console itself uses them. */
  ui: Kit
  config: { name: string; currency: string }
  /** Whom the page acts as now, which may change while it is open. */
  caller(): { user: string; groups: string[] } | undefined

  addPage(page: PageDefinition): void
  addFieldRenderer(view: string, field: string, component: React.ComponentType<{ value: unknown; row: Row }>): void
  addRowAction(view: string, action: RowAction): void
  /** Adds to a slot, a place that another bundle's page opens for all, itself included. */
  fillSlot(name: string, component: React.ComponentType<{ context: unknown }>): void
  Slot: React.ComponentType<{ name: string; context?: unknown }>

  /** A page of a view, kept up to date while it is shown. */
  useView(view: string, parameters?: Record<string, string | number | undefined>): View
  /** One row, or null where there is none. */
  useRow(view: string, id: string | undefined): { data?: Row | null; error: BundleError | null }
  /** Sends a command. Keep the key for each retry of what a person did once. */
  command(aggregate: string, id: string, command: string, payload: object, idempotencyKey?: string): Promise<Accepted>

  href(segments: string[], query?: Record<string, string | number | undefined>): string
  /** Goes to another place; `replace` leaves none for the back button, as while somebody types. */
  navigate(href: string, how?: 'push' | 'replace'): void
  money(value: number): string
  inWords(error: unknown): string
}

export type Register = (console: ConsoleApi) => void
