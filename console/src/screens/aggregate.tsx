import { Anchor, Badge, Card, Group, SimpleGrid, Stack, Table, Text, Title } from '@mantine/core'
import { isNotFound } from '../api/problem'
import type { AggregateManifest, ReadModelManifest, Row } from '../api/types'
import { isAdmin, mayUse, nameOf, shortName, splitName } from '../model/manifest'
import { fieldsOf, humanize } from '../model/schema'
import { useItems, useRow, useRows, useStateAt } from '../state/queries'
import { href } from '../state/router'
import { useShop } from '../state/shop'
import { CommandButton } from '../forms/commandbutton'
import { Empty } from '../ui/empty'
import { Screen } from '../ui/page'
import { Problem } from '../ui/problem'
import { itemsHref, rowHref } from '../ui/reflink'
import { Value } from '../ui/value'
import { History } from './history'

/** One aggregate: its rows in all views, its commands, its history. */
export default function AggregateScreen({ aggregate, id }: { aggregate: AggregateManifest; id: string }) {
  const { model, who } = useShop()
  const present = useStateAt(aggregate, id, undefined, 3000)
  const views = model.viewsOf(aggregate.name).filter((view) => view.kind !== 'keyed' && mayUse(view.access, who))
  const main = model.mainView(aggregate.name)
  const missing = isNotFound(present.error)

  return (
    <Screen
      title={id}
      about={
        <>
          <Anchor href={parentHref(aggregate, main)}>{humanize(shortName(aggregate.name))}</Anchor> in {humanize(splitName(aggregate.name).plugin)}
          {present.data && (
            <Badge ml="xs" variant="default" tt="none" fw={500}>
              Version {present.data.version}
            </Badge>
          )}
        </>
      }
      actions={
        <Group gap="xs" align="flex-start">
          <Commands aggregate={aggregate} id={id} exists={!missing} version={missing ? undefined : present.data?.version} main={main} />
        </Group>
      }
    >
      {missing && <Empty title="There is no such one.">Nothing has happened to this id yet. Check how it is written.</Empty>}
      {present.error && !missing && <Problem error={present.error} />}
      {!missing && (
        <>
          <SimpleGrid cols={{ base: 1, md: 2 }}>
            {views.map((view) => (view.items ? <ItemsCard key={view.name} view={view} id={id} /> : <RowCard key={view.name} view={view} id={id} />))}
            {main && model.referrers(main).filter(({ view }) => mayUse(view.access, who)).map(({ view, field }) => (
              <Referrers key={view.name + field} view={view} field={field} id={id} />
            ))}
          </SimpleGrid>
          {isAdmin(who) && (present.data || present.error) && <History aggregate={aggregate} id={id} last={present.data?.version} />}
        </>
      )}
    </Screen>
  )
}

function parentHref(aggregate: AggregateManifest, main?: ReadModelManifest): string {
  const { plugin, name } = splitName(main?.name ?? aggregate.name)
  return href([plugin, name])
}

function Commands({ aggregate, id, exists, version, main }: { aggregate: AggregateManifest; id: string; exists: boolean; version?: number; main?: ReadModelManifest }) {
  const { who } = useShop()
  const offered = aggregate.commands.filter((c) => mayUse(c.access, who) && (exists ? c.changes : c.creates))
  if (!main) return offered.map((c) => <CommandButton key={c.name} aggregate={aggregate} command={c} target={{ id, version }} />)
  return <CommandsWithRow view={main} aggregate={aggregate} id={id} version={version} offered={offered} />
}

/** Commands whose forms start from what the row says now. */
function CommandsWithRow({ view, aggregate, id, version, offered }: { view: ReadModelManifest; aggregate: AggregateManifest; id: string; version?: number; offered: AggregateManifest['commands'] }) {
  const { data } = useRow(view, id)
  return offered.map((command) => (
    <CommandButton key={command.name} aggregate={aggregate} command={command} target={{ id, version, present: data ?? undefined }} />
  ))
}

function RowCard({ view, id }: { view: ReadModelManifest; id: string }) {
  const { data, error } = useRow(view, id)
  const { plugin, name } = splitName(view.name)
  return (
    <Card withBorder component="section" aria-label={humanize(name)}>
      <Group justify="space-between" mb="xs">
        <Title order={2}>{humanize(name)}</Title>
        <Anchor fz="sm" href={href([plugin, name])}>
          All
        </Anchor>
      </Group>
      {error && <Problem error={error} />}
      {data === null && (
        <Text size="sm" c="dimmed">
          No row in this view.
        </Text>
      )}
      {data && <Fields view={view} row={data} />}
    </Card>
  )
}

/** The first rows below the id. */
function ItemsCard({ view, id }: { view: ReadModelManifest; id: string }) {
  const { data, error } = useItems(view, id, { limit: 6 })
  const name = humanize(shortName(view.name))
  const rows = data?.items.slice(0, 5) ?? []
  return (
    <Card withBorder component="section" aria-label={name}>
      <Group justify="space-between" mb="xs">
        <Title order={2}>{name}</Title>
        <Anchor fz="sm" href={itemsHref(view, id)}>
          All
        </Anchor>
      </Group>
      {error && <Problem error={error} />}
      {data && rows.length === 0 && (
        <Text size="sm" c="dimmed">
          No rows in this view.
        </Text>
      )}
      <Stack gap={2}>
        {rows.map((row) => (
          <Text key={row.subId} fz="sm" lh="24px" className="mono">
            {row.subId}
          </Text>
        ))}
      </Stack>
    </Card>
  )
}

function Fields({ view, row }: { view: ReadModelManifest; row: Row }) {
  return (
    <Table fz="sm" highlightOnHover={false} withRowBorders={false} verticalSpacing={3} layout="auto">
      <Table.Tbody>
        {fieldsOf(view.schema).map((field) => (
          <Table.Tr key={field.name}>
            <Table.Th scope="row" fw={400} c="dimmed" w={140} style={{ verticalAlign: 'top' }} title={field.schema.description}>
              {field.title}
            </Table.Th>
            <Table.Td>
              <Value owner={view.name} field={field.name} schema={field.schema} value={row[field.name]} row={row} />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  )
}

/** Rows elsewhere that point here. */
function Referrers({ view, field, id }: { view: ReadModelManifest; field: string; id: string }) {
  const { data } = useRows(view, { [field]: id, limit: 6 })
  const { plugin, name } = splitName(view.name)
  const rows = data?.items.slice(0, 5) ?? []
  return (
    <Card withBorder component="section" aria-label={`${humanize(name)} that point here`}>
      <Group justify="space-between" mb="xs">
        <Title order={2}>{humanize(name)} that point here</Title>
        <Anchor fz="sm" href={href([plugin, name], { [field]: id })}>
          All
        </Anchor>
      </Group>
      {data && rows.length === 0 && (
        <Text size="sm" c="dimmed">
          None.
        </Text>
      )}
      <Stack gap={2}>
        {rows.map((row) => (
          <Anchor key={row.id} fz="sm" lh="24px" href={rowHref(view, row.id)}>
            {nameOf(view, row)}
          </Anchor>
        ))}
      </Stack>
    </Card>
  )
}
