import { Spotlight, type SpotlightActionData, type SpotlightActionGroupData } from '@mantine/spotlight'
import { useDebouncedValue } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { pathOf } from '../api/client'
import type { ReadModelManifest, Row } from '../api/types'
import { creators, isAdmin, mayUse, shortName, splitName, splitStream } from '../model/manifest'
import { humanize } from '../model/schema'
import { href, navigate } from '../state/router'
import { useShop, type Shop } from '../state/shop'
import { rowHref } from './reflink'
import { streamHref } from './value'

/** Ctrl-K: any page, view or stream; an id opens what has it. */
export default function Palette() {
  const shop = useShop()
  const [query, setQuery] = useState('')
  const [settled] = useDebouncedValue(query.trim(), 250)
  const found = useIds(settled)
  useEffect(chooseFirst, [found.length])
  return (
    <Spotlight
      actions={[...pages(shop), ...views(shop), ...stream(shop, query.trim()), ...found]}
      query={query}
      onQueryChange={setQuery}
      shortcut={null}
      searchProps={{ placeholder: 'A page, a view, an id …', 'aria-label': 'Search and go' }}
      nothingFound="Nothing found. An id must be written out."
      highlightQuery
      limit={12}
      scrollable
      maxHeight={420}
    />
  )
}

/** Enter opens what is chosen, which the library sees to as one types: lines that come later are chosen here, as it does it. */
function chooseFirst(): void {
  const list = document.querySelector('.mantine-Spotlight-actionsList')
  if (!list?.querySelector('[data-selected]')) list?.querySelector('[data-action]')?.setAttribute('data-selected', 'true')
}

const go = (id: string, label: string, to: string, description?: string): SpotlightActionData => ({
  id,
  label,
  description,
  onClick: () => navigate(to),
})

function pages({ config, who, bundles, model }: Shop): SpotlightActionGroupData[] {
  const own = [
    go('dashboard', 'Dashboard', '#/'),
    ...(isAdmin(who) ? [go('imports', 'Imports', '#/imports'), go('failures', 'Failures', '#/failures'), go('views', 'Views', '#/views')] : []),
    ...(isAdmin(who) && model.tasks.some((task) => task.schedules) ? [go('schedules', 'Schedules', '#/schedules')] : []),
    ...(isAdmin(who) && config.emails ? [go('mail', 'Mail', '#/mail')] : []),
    go('map', 'Map', '#/map'),
  ]
  return [{ group: 'Pages', actions: [...own, ...bundles.pages.map((page) => go(page.path, page.title, href(page.path.split('/'))))] }]
}

function views({ model, who }: Shop): SpotlightActionGroupData[] {
  return model.plugins.map((plugin) => ({
    group: humanize(plugin.name),
    actions: [
      ...plugin.readModels
        .filter((view) => mayUse(view.access, who))
        .map((view) => go(view.name, humanize(shortName(view.name)), href([plugin.name, shortName(view.name)]), 'List')),
      ...plugin.aggregates.flatMap((aggregate) =>
        creators(aggregate)
          .filter((command) => mayUse(command.access, who))
          .map((command) => {
            const view = model.mainView(aggregate.name)
            const place = splitName(view?.name ?? aggregate.name)
            return go(
              `${aggregate.name}/${command.name}`,
              `${humanize(command.name)} ${humanize(shortName(aggregate.name)).toLowerCase()}`,
              href([place.plugin, place.name], { do: command.name }),
              command.help ?? 'Command',
            )
          }),
      ),
    ],
  }))
}

/** `Zoo.Animal#lion` as it is written. */
function stream({ model }: Shop, query: string): SpotlightActionData[] {
  const parts = splitStream(query)
  return parts && parts.id && model.aggregate(parts.aggregate) ? [go(`stream ${query}`, query, streamHref(query), 'Open')] : []
}

function useIds(query: string): SpotlightActionData[] {
  const { client, model, who } = useShop()
  const { data } = useQuery({
    queryKey: ['find', query],
    enabled: /^[A-Za-z0-9._~-]{2,128}$/.test(query),
    queryFn: async ({ signal }) => {
      const views = model.views.filter((view) => view.kind === 'rows' && mayUse(view.access, who))
      const rows = await Promise.allSettled(views.map((view) => client.get<Row>(pathOf(`${view.path}/{id}`, query, {}), signal)))
      return views.filter((_, i) => rows[i]?.status === 'fulfilled').map((view) => view.name)
    },
  })
  return (data ?? [])
    .map((name) => model.view(name))
    .filter((view): view is ReadModelManifest => view !== undefined)
    .map((view) => go(`row ${view.name}`, query, rowHref(view, query), humanize(shortName(view.name))))
}
