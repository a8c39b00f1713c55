import * as react from 'react'
import type { QueryClient } from '@tanstack/react-query'
import {
  ActionIcon, Alert, Anchor, Badge, Button, Card, Center, Chip, Divider, Drawer, Group, Indicator, Loader, NumberInput, Paper, Progress, Select,
  SimpleGrid, Skeleton, Stack, Table, Text, Textarea, TextInput, Title,
} from '@mantine/core'
import type { ConsoleApi, Kit, View } from '../bundle'
import { pathOf } from './api/client'
import type { Who } from './api/types'
import { inWords } from './api/problem'
import { money } from './model/format'
import { type Bundles, loadBundles } from './state/bundles'
import { useRow, useRows } from './state/queries'
import { href, navigate } from './state/router'
import { useShop } from './state/shop'
import type { Started } from './state/start'
import { writes } from './state/writes'
import { Boundary } from './ui/boundary'

const ui: Kit = {
  ActionIcon, Alert, Anchor, Badge, Button, Card, Center, Chip, Divider, Drawer, Group, Indicator, Loader, NumberInput, Paper, Progress, Select,
  SimpleGrid, Skeleton, Stack, Table, Text, Textarea, TextInput, Title,
}

/** Loads the plugins' bundles, and hands them what they may use. */
export async function hostBundles({ client, config, model, who }: Started, queries: QueryClient): Promise<Bundles> {
  const viewNamed = (name: string) => {
    const view = model.view(name)
    if (!view) throw new Error(`There is no view ${name}.`)
    return view
  }

  const apiFor = (added: Bundles): ConsoleApi => ({
    react,
    ui,
    config,
    caller: () => queries.getQueryData<Who>(['whoami']) ?? who,
    addPage: added.addPage,
    addFieldRenderer: added.addFieldRenderer,
    addRowAction: added.addRowAction,
    fillSlot: added.fillSlot,
    Slot,
    useView: (name, parameters = {}) => useRows(viewNamed(name), parameters) as View,
    useRow: (name, id) => useRow(viewNamed(name), id),
    async command(aggregate, id, command, payload, idempotencyKey) {
      const sent = model.aggregate(aggregate)?.commands.find((c) => c.name === command)
      if (!sent) throw new Error(`There is no command ${command} of ${aggregate}.`)
      const accepted = await client.command(pathOf(sent.path, id), payload, { idempotencyKey })
      writes.remember(`${accepted.aggregate}#${accepted.id}`, accepted.version)
      void queries.invalidateQueries({ predicate: ({ queryKey: [kind] }) => kind === 'rows' || kind === 'row' })
      return accepted
    },
    href,
    navigate,
    money: (value) => money(value, config.currency),
    inWords,
  })
  return loadBundles(model.plugins, apiFor)
}

function Slot({ name, context }: { name: string; context?: unknown }) {
  const { bundles } = useShop()
  return bundles.slot(name).map((Part, i) => (
    <Boundary key={i}>
      <Part context={context} />
    </Boundary>
  ))
}
