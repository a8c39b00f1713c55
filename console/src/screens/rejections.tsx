import { Anchor, Button, Card, Group, Table, Text, Title } from '@mantine/core'
import { splitConsumer, splitName } from '../model/manifest'
import { humanize } from '../model/schema'
import { useRejections } from '../state/queries'
import { useRoute, withQuery } from '../state/router'
import { StreamLink, Time } from '../ui/value'
import { Wide } from '../ui/wide'

/** Followers' commands that were refused, and commits that an operator skipped. */
export function Rejections() {
  const route = useRoute()
  const { data } = useRejections({ follower: route.query.get('follower') ?? undefined, cursor: route.query.get('cursor') ?? undefined })
  if (!data) return null
  return (
    <Card withBorder component="section" aria-label="Rejected">
      <Title order={2}>Rejected</Title>
      <Text size="sm" c="dimmed" mb="xs">
        Commands that followers sent and a rule refused, and what was skipped. Nothing is tried again.
      </Text>
      {data.items.length === 0 && <Text size="sm">None.</Text>}
      {data.items.length > 0 && (
        <Wide minWidth={640} label="Rejected commands">
          <Table fz="sm">
            <Table.Thead>
              <Table.Tr>
                <Table.Th scope="col">When</Table.Th>
                <Table.Th scope="col">Follower</Table.Th>
                <Table.Th scope="col">Because of</Table.Th>
                <Table.Th scope="col">Sent to</Table.Th>
                <Table.Th scope="col">Why not</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {data.items.map((item, i) => (
                <Table.Tr key={i}>
                  <Table.Td>
                    <Time value={item.time} />
                  </Table.Td>
                  <Table.Td>
                    <Anchor href={withQuery(route, { follower: item.follower, cursor: undefined })}>
                      {humanize(splitName(splitConsumer(item.follower).name).name)}
                    </Anchor>
                  </Table.Td>
                  <Table.Td>
                    <StreamLink stream={item.stream} />
                  </Table.Td>
                  <Table.Td>
                    {item.target && <StreamLink stream={item.target} />}
                  </Table.Td>
                  <Table.Td>
                    {item.code}
                    {item.detail && `: ${item.detail}`}
                    {item.user && ` (${item.user})`}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Wide>
      )}
      <Group justify="flex-end">
        {route.query.has('follower') && (
          <Button size="xs" variant="default" component="a" href={withQuery(route, { follower: undefined, cursor: undefined })}>
            All followers
          </Button>
        )}
        {data.next && (
          <Button size="xs" variant="default" component="a" href={withQuery(route, { cursor: data.next })}>
            Next
          </Button>
        )}
      </Group>
    </Card>
  )
}
