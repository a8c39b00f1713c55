import { ActionIcon, Anchor, Group, Menu, Paper, SegmentedControl, Skeleton, Table, UnstyledButton } from '@mantine/core'
import { useLocalStorage } from '@mantine/hooks'
import { useMemo } from 'react'
import type { ReadModelManifest, Row } from '../api/types'
import { creators, mayUse, shortName, splitName } from '../model/manifest'
import { nextSort, selectionOf, sortOf } from '../model/selection'
import { fieldsOf, humanize, type Field } from '../model/schema'
import { pageSize, useItems, useRows } from '../state/queries'
import { href, navigate, useRoute, withQuery } from '../state/router'
import { useShop } from '../state/shop'
import { CommandButton } from '../forms/commandbutton'
import { Empty } from '../ui/empty'
import { IconDots } from '../ui/icons'
import { Screen } from '../ui/page'
import { Paging } from '../ui/paging'
import { Problem } from '../ui/problem'
import { itemsHref, rowHref } from '../ui/reflink'
import { alignOf, Value } from '../ui/value'
import { Wide } from '../ui/wide'
import { ExportCsv } from './export'
import { Filters, Search } from './filters'

export function ListScreen({ view }: { view: ReadModelManifest }) {
  const { model, who } = useShop()
  const route = useRoute()
  const [density, setDensity] = useLocalStorage<'compact' | 'normal'>({ key: 'console.density', defaultValue: 'normal' })
  const filter = useMemo(() => selectionOf(view, route.query), [view, route.query])
  const cursor = route.query.get('cursor') ?? undefined
  const { data, error, isPlaceholderData } = useRows(view, { ...filter, limit: pageSize, cursor })
  const aggregate = model.aggregateOf(view)
  const fresh = aggregate ? creators(aggregate).filter((command) => mayUse(command.access, who)) : []
  const todo = route.query.get('do')
  const filtered = Object.keys(filter).some((name) => name !== 'sort')

  return (
    <Screen
      title={humanize(shortName(view.name))}
      about={describe(view)}
      actions={
        <>
          <ExportCsv view={view} filter={filter} />
          {aggregate && fresh.map((command) => <CommandButton key={command.name + (todo === command.name)} aggregate={aggregate} command={command} opened={todo === command.name} />)}
        </>
      }
    >
      <Group justify="space-between" align="flex-end">
        <Group gap="xs" align="flex-end">
          {view.searches.length > 0 && <Search view={view} />}
          <Filters view={view} />
        </Group>
        <SegmentedControl
          size="xs"
          aria-label="Density"
          value={density}
          onChange={(value) => setDensity(value as typeof density)}
          data={[
            { value: 'normal', label: 'Normal' },
            { value: 'compact', label: 'Compact' },
          ]}
        />
      </Group>
      {error && <Problem error={error} />}
      {!data && !error && <Skeleton h={240} />}
      {data && data.items.length === 0 && data.next && <Empty title="Nothing found so far.">Next looks further.</Empty>}
      {data && data.items.length === 0 && !data.next && (
        <Empty title={filtered ? 'Nothing matches this filter.' : 'Nothing here yet.'}>
          {filtered ? (
            <Anchor href={href(route.segments)}>Show all</Anchor>
          ) : fresh.length ? (
            `Add the first one with “${humanize(fresh[0]!.name)}” above.`
          ) : (
            'Rows appear here by themselves as things happen.'
          )}
        </Empty>
      )}
      {data && data.items.length > 0 && <Rows view={view} rows={data.items} dense={density === 'compact'} faded={isPlaceholderData} />}
      <Paging next={data?.next} cursor={cursor} />
    </Screen>
  )
}

/** The rows below one id. */
export function ItemsScreen({ view, id }: { view: ReadModelManifest; id: string }) {
  const cursor = useRoute().query.get('cursor') ?? undefined
  const { data, error, isPlaceholderData } = useItems(view, id, { limit: pageSize, cursor })
  const { plugin, name } = splitName(view.name)
  return (
    <Screen
      title={id}
      about={
        <>
          <Anchor href={href([plugin, name])}>{humanize(name)}</Anchor> of the {humanize(shortName(view.aggregate ?? view.name)).toLowerCase()} <Anchor href={rowHref(view, id)}>{id}</Anchor>
        </>
      }
    >
      {error && <Problem error={error} />}
      {!data && !error && <Skeleton h={240} />}
      {data && data.items.length === 0 && <Empty title="Nothing here.">This id has no rows in this view.</Empty>}
      {data && data.items.length > 0 && <Rows view={view} rows={data.items} dense={false} faded={isPlaceholderData} />}
      <Paging next={data?.next} cursor={cursor} />
    </Screen>
  )
}

function describe(view: ReadModelManifest): string {
  return `Made of ${view.sources.map((source) => humanize(shortName(source)).toLowerCase()).join(' and ')} in ${humanize(splitName(view.name).plugin)}.`
}

export function Rows({ view, rows, dense, faded }: { view: ReadModelManifest; rows: Row[]; dense: boolean; faded: boolean }) {
  const fields = fieldsOf(view.schema)
  return (
    <Paper withBorder>
      <Wide minWidth={Math.min(560, 160 * (fields.length + 1))} label={humanize(shortName(view.name))}>
        <Table verticalSpacing={dense ? 3 : 8} fz="sm" opacity={faded ? 0.6 : 1}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th scope="col">Id</Table.Th>
              {view.items && <Table.Th scope="col">Sub-id</Table.Th>}
              {fields.map((field) => (
                <Heading key={field.name} view={view} field={field} />
              ))}
              <Actions view={view} />
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.map((row) => (
              <RowLine key={JSON.stringify([row.id, row.subId])} view={view} row={row} fields={fields} />
            ))}
          </Table.Tbody>
        </Table>
      </Wide>
    </Paper>
  )
}

/** A column's heading; where the view can be sorted by it, a click does. */
function Heading({ view, field }: { view: ReadModelManifest; field: Field }) {
  const route = useRoute()
  const common = { scope: 'col', className: alignOf(field.schema), title: field.schema.description }
  if (!view.sorts.includes(field.name)) return <Table.Th {...common}>{field.title}</Table.Th>
  const sorted = sortOf(route.query, field.name)
  return (
    <Table.Th {...common} aria-sort={sorted ?? 'none'}>
      <UnstyledButton
        fz="inherit"
        fw="inherit"
        onClick={() => navigate(withQuery(route, { sort: nextSort(route.query, field.name), cursor: undefined, page: undefined }))}
      >
        {field.title} <span aria-hidden>{sorted === 'ascending' ? '↑' : sorted === 'descending' ? '↓' : '↕'}</span>
      </UnstyledButton>
    </Table.Th>
  )
}

function RowLine({ view, row, fields }: { view: ReadModelManifest; row: Row; fields: Field[] }) {
  const to = view.items ? itemsHref(view, row.id) : rowHref(view, row.id)
  return (
    <Table.Tr>
      <Table.Td className="clamp" maw="18rem">
        {view.kind === 'keyed' ? (
          <span className="mono" title={row.id}>
            {row.id}
          </span>
        ) : (
          <Anchor href={to} className="mono" title={row.id}>
            {row.id}
          </Anchor>
        )}
      </Table.Td>
      {view.items && <Table.Td className="mono">{row.subId}</Table.Td>}
      {fields.map((field) => (
        <Table.Td key={field.name} className={alignOf(field.schema) ?? 'clamp'}>
          {field.name === view.label ? (
            <Anchor href={to} c="inherit" fw={500}>
              <Value owner={view.name} field={field.name} schema={field.schema} value={row[field.name]} row={row} />
            </Anchor>
          ) : (
            <Value owner={view.name} field={field.name} schema={field.schema} value={row[field.name]} row={row} />
          )}
        </Table.Td>
      ))}
      <Actions view={view} row={row} />
    </Table.Tr>
  )
}

/** What bundles offer for a row; no column where they offer nothing. */
function Actions({ view, row }: { view: ReadModelManifest; row?: Row }) {
  const actions = useShop().bundles.rowActions(view.name)
  if (actions.length === 0) return null
  if (!row) return <Table.Th scope="col">Actions</Table.Th>
  return (
    <Table.Td>
      <Menu>
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" aria-label={`Actions for ${row.id}`}>
            <IconDots />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          {actions.map((action) => (
            <Menu.Item key={action.label} onClick={() => action.run(row)}>
              {action.label}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
    </Table.Td>
  )
}
