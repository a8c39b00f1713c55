import { Anchor, Badge, Box, Card, Group, Skeleton, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { pathOf } from '../api/client'
import type { BranchState, Trace, TraceBranch, TraceEvent } from '../api/types'
import { splitConsumer, splitName } from '../model/manifest'
import { isQuiet, outcomeOf } from '../model/trace'
import { humanize } from '../model/schema'
import { href } from '../state/router'
import { live } from '../state/queries'
import { useShop } from '../state/shop'
import { CopyText } from '../ui/copy'
import { Screen } from '../ui/page'
import { Problem } from '../ui/problem'
import { StreamLink, streamHref, Time } from '../ui/value'

/** What one command set off, as a tree across plugins. */
export default function TraceScreen({ stream, version }: { stream: string; version: number }) {
  const { client } = useShop()
  const { data, error } = useQuery({
    queryKey: ['trace', stream, version],
    queryFn: ({ signal }) => client.get<Trace>(pathOf('/operations/trace', undefined, { stream, version }), signal),
    refetchInterval: (query) => (query.state.data && isQuiet(query.state.data.then) ? live * 3 : 1000),
  })
  return (
    <Screen title="Trace" about={<>What version {version} of <StreamLink stream={stream} /> set off.</>}>
      {error && <Problem error={error} />}
      {!data && !error && <Skeleton h={200} />}
      {data && (
        <Stack>
          <Group gap="xs">
            <Badge variant="dot" color={looks[outcomeOf(data.then)].color} tt="none" role="status">
              {looks[outcomeOf(data.then)].all}
            </Badge>
            <Text size="sm" c="dimmed">
              Correlation id <span className="mono">{data.event.correlationId}</span>
            </Text>
            <CopyText text={data.event.correlationId} label="Copy the correlation id" />
          </Group>
          {data.cause && (
            <Text size="sm">
              Because of {humanize(splitName(splitConsumer(data.cause.follower).name).name)}, which follows{' '}
              <Anchor href={href(['trace', data.cause.stream, String(data.cause.version)])}>
                version {data.cause.version} of {data.cause.stream}
              </Anchor>
              .
            </Text>
          )}
          <EventCard event={data.event} />
          <Branches branches={data.then} />
        </Stack>
      )}
    </Screen>
  )
}

function EventCard({ event }: { event: TraceEvent }) {
  const data = JSON.stringify(event.data ?? {})
  return (
    <Card withBorder padding="xs">
      <Group gap="xs">
        <Text fw={600} size="sm">
          {humanize(event.type)}
        </Text>
        <Anchor href={streamHref(event.stream, `?version=${event.version}`)} className="mono">
          {event.stream}
        </Anchor>
        <Text size="xs" c="dimmed">
          Version {event.version}
        </Text>
      </Group>
      <Text size="xs" c="dimmed" component="div">
        {event.user}, <Time value={event.time} />
      </Text>
      {data !== '{}' && <span className="mono">{data}</span>}
    </Card>
  )
}

const looks: Record<BranchState, { color: string; label: string; all: string }> = {
  done: { color: 'green', label: 'Done', all: 'All done' },
  pending: { color: 'yellow', label: 'Pending', all: 'Still going on' },
  due: { color: 'blue', label: 'Due later', all: 'The rest is due later' },
  parked: { color: 'red', label: 'Parked', all: 'Something failed' },
  rejected: { color: 'orange', label: 'Rejected', all: 'Something was rejected' },
  none: { color: 'gray', label: 'No effect', all: 'No effect' },
}

function Branches({ branches }: { branches: TraceBranch[] }) {
  if (branches.length === 0) return null
  return (
    <Box component="ul" m={0} pl="md" style={{ listStyle: 'none', borderLeft: '2px solid var(--mantine-color-default-border)' }}>
      {branches.map((branch, i) => (
        <Box component="li" key={i} mb="sm">
          <Branch branch={branch} />
        </Box>
      ))}
    </Box>
  )
}

function Branch({ branch }: { branch: TraceBranch }) {
  const { kind, name } = splitConsumer(branch.follower)
  const look = looks[branch.state]
  return (
    <Stack gap={6}>
      <Group gap="xs">
        <Badge variant="dot" color={look.color} tt="none" fw={500}>
          {look.label}
        </Badge>
        <Text size="sm" title={branch.follower}>
          {humanize(splitName(name).name)}
        </Text>
        <Text size="xs" c="dimmed">
          {kindInWords(kind)} in {humanize(splitName(name).plugin)}
          {branch.milliseconds !== undefined && `, after ${branch.milliseconds} ms`}
        </Text>
        {branch.dueAt && (
          <Text size="xs" component="div">
            due <Time value={branch.dueAt} />
          </Text>
        )}
        {branch.state === 'parked' && (
          <Anchor fz="xs" href="#/failures">
            See failures
          </Anchor>
        )}
      </Group>
      {branch.error && <Text size="sm">{branch.error}</Text>}
      {branch.event && <EventCard event={branch.event} />}
      {branch.then && <Branches branches={branch.then} />}
    </Stack>
  )
}

const kinds: Record<string, string> = { readmodel: 'view', effect: 'side effect', publication: 'extension point' }

const kindInWords = (kind: string): string => kinds[kind] ?? kind
