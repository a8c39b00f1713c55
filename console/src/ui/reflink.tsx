import { Anchor } from '@mantine/core'
import type { ReadModelManifest } from '../api/types'
import { nameOf, splitName } from '../model/manifest'
import { useSample } from '../state/queries'
import { href } from '../state/router'

/** A reference by the name of what it points to, where that is known. */
export function RefLink({ view, id }: { view: ReadModelManifest; id: string }) {
  const row = useSample(view.label ? view : undefined).data?.items.find((item) => item.id === id)
  return (
    <Anchor href={rowHref(view, id)} title={id}>
      {row ? nameOf(view, row) : id}
    </Anchor>
  )
}

export function rowHref(view: ReadModelManifest, id: string): string {
  const { plugin, name } = splitName(view.aggregate ?? view.name)
  return href([plugin, name, id])
}

/** The rows below an id, of a view that has such. */
export function itemsHref(view: ReadModelManifest, id: string): string {
  const { plugin, name } = splitName(view.name)
  return href([plugin, name, id])
}
