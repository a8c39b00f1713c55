import { Anchor, Code, Drawer, Stack, Text, Title } from '@mantine/core'
import type { Consumer, Manifest } from '../api/types'
import { duration } from '../model/format'
import { humanize, type Schema } from '../model/schema'
import { href } from '../state/router'
import { useShop } from '../state/shop'
import type { Node } from './graph'

interface Props {
  part: Node
  kind: string
  consumer?: Consumer
  onClose: () => void
}

/** A part's contract: its commands, its events, its rows. */
export function Contract({ part, kind, consumer, onClose }: Props) {
  const { model } = useShop()
  return (
    <Drawer opened onClose={onClose} position="right" title={`${kind} ${humanize(part.name)}`}>
      <Stack gap="sm">
        {consumer && (
          <Text size="sm">
            {consumer.parked > 0 ? `${consumer.parked} parked.` : 'Nothing parked.'} Behind by {duration(consumer.lagSeconds)}.
          </Text>
        )}
        {part.kind === 'task' && !model.manifest.plugins.flatMap((p) => p.tasks).find((t) => t.name === `${part.plugin}.${part.name}`)?.sends && (
          <Text size="sm">It may send commands to any aggregate of {humanize(part.plugin)}, since it does not say which.</Text>
        )}
        {(part.kind === 'aggregate' || part.kind === 'view') && (
          <Anchor fz="sm" href={href([part.plugin, part.name])}>
            Open
          </Anchor>
        )}
        {schemasOf(model.manifest, part).map(({ title, schema }) => (
          <section key={title}>
            <Title order={3} mb={4}>
              {title}
            </Title>
            <Code block tabIndex={0}>
              {JSON.stringify(schema, null, 2)}
            </Code>
          </section>
        ))}
      </Stack>
    </Drawer>
  )
}

function schemasOf(manifest: Manifest, { kind, plugin, name }: Node): { title: string; schema: Schema | object }[] {
  const full = `${plugin}.${name}`
  const parts = manifest.plugins.find((p) => p.name === plugin)
  const named = <T extends { name: string }>(list?: T[]) => list?.find((item) => item.name === full)
  switch (kind) {
    case 'aggregate': {
      const { commands = [], events = [] } = named(parts?.aggregates) ?? {}
      return [
        ...commands.map((c) => ({ title: `Command ${humanize(c.name)}`, schema: c.schema })),
        ...events.map((e) => ({ title: `Event ${humanize(e.name)}, version ${e.version}`, schema: e.schema })),
      ]
    }
    case 'view':
      return [{ title: 'Row', schema: named(parts?.readModels)?.schema ?? {} }]
    case 'point':
      return ((named(parts?.extensionPoints) ?? named(parts?.asks))?.events ?? []).map((e) => ({ title: `Event ${humanize(e.name)}, version ${e.version}`, schema: e.schema }))
    case 'mapping':
      return [{ title: 'Connects', schema: named(parts?.mappings) ?? {} }]
    case 'extension':
      return [{ title: 'Connects', schema: named(parts?.extensions) ?? {} }]
    case 'effect':
      return [{ title: 'Connects', schema: named(parts?.sideEffects) ?? {} }]
    case 'task':
      return [{ title: 'Task', schema: named(parts?.tasks) ?? {} }]
  }
}
