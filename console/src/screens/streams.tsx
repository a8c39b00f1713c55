import { Anchor, Button, Group, Paper, Skeleton, Table, TextInput } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { pathOf } from '../api/client'
import type { AggregateManifest, Page } from '../api/types'
import { shortName, splitName } from '../model/manifest'
import { humanize } from '../model/schema'
import { pageSize } from '../state/queries'
import { href, navigate, useRoute, withQuery } from '../state/router'
import { useShop } from '../state/shop'
import { Empty } from '../ui/empty'
import { Screen } from '../ui/page'
import { Problem } from '../ui/problem'

/** An aggregate's streams, by their ids. */
export default function StreamsScreen({ aggregate }: { aggregate: AggregateManifest }) {
  const { client } = useShop()
  const route = useRoute()
  const cursor = route.query.get('cursor') ?? undefined
  const { plugin, name } = splitName(aggregate.name)
  // Not asked for again by itself: where the log has no list of its streams, it is read for them.
  const { data, error } = useQuery({
    queryKey: ['streams', aggregate.name, cursor],
    queryFn: ({ signal }) => client.get<Page<{ id: string }>>(pathOf(aggregate.path.replace('/{id}', ''), undefined, { limit: pageSize, cursor }), signal),
  })
  return (
    <Screen title={`${humanize(name)} histories`} about={aggregate.internal ? `Kept by ${plugin} itself.` : 'Every event of each, from the first on.'} actions={<OpenById plugin={plugin} name={name} />}>
      {error && <Problem error={error} />}
      {!data && !error && <Skeleton h={240} />}
      {data?.items.length === 0 && <Empty title="Nothing here yet.">The first event makes the first history.</Empty>}
      {data && data.items.length > 0 && (
        <Paper withBorder>
          <Table fz="sm">
            <Table.Thead>
              <Table.Tr>
                <Table.Th scope="col">{humanize(shortName(aggregate.name))}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {data.items.map(({ id }) => (
                <Table.Tr key={id}>
                  <Table.Td>
                    <Anchor href={href([plugin, name, id])} className="mono">
                      {id}
                    </Anchor>
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Paper>
      )}
      <Group justify="flex-end">
        {cursor && (
          <Button variant="default" size="xs" onClick={() => history.back()}>
            Back
          </Button>
        )}
        {data?.next && (
          <Button variant="default" size="xs" component="a" href={withQuery(route, { cursor: data.next })}>
            Next
          </Button>
        )}
      </Group>
    </Screen>
  )
}

function OpenById({ plugin, name }: { plugin: string; name: string }) {
  const [id, setId] = useState('')
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault()
        if (id) navigate(href([plugin, name, id]))
      }}
    >
      <TextInput size="xs" placeholder="Open by id" aria-label="Open by id" value={id} onChange={(e) => setId(e.currentTarget.value)} />
    </form>
  )
}
