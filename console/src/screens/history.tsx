import { ActionIcon, Anchor, Badge, Button, Card, Group, Paper, ScrollArea, Select, SimpleGrid, Stack, Table, Text, Timeline, Title } from '@mantine/core'
import { useHotkeys } from '@mantine/hooks'
import type { AggregateManifest, Commit } from '../api/types'
import { diff, type Change } from '../model/diff'
import { humanize, listed } from '../model/schema'
import { historyPage, useHistory, useStateAt } from '../state/queries'
import { href, navigate, useRoute, withQuery } from '../state/router'
import { CopyAs } from '../ui/copy'
import { IconLeft, IconRight } from '../ui/icons'
import { Problem } from '../ui/problem'
import { Time } from '../ui/value'

interface Props {
  aggregate: AggregateManifest
  id: string
  /** The latest version; absent where the state can't be told. */
  last?: number
}

/** Commits as a timeline, page by page, and the state at the one that is chosen. */
export function History({ aggregate, id, last }: Props) {
  const route = useRoute()
  const asked = Number(route.query.get('version')) || last || 1
  const version = Math.min(Math.max(1, asked), last ?? asked)
  const from = firstOfPage(version)
  const { data, error } = useHistory(aggregate, id, from, last)
  const commits = data?.commits ?? []
  const shown = commits.at(-1)?.version ?? 0
  const end = last ?? (data?.more ? Infinity : shown)
  const choose = (next: number) => next >= 1 && next <= end && navigate(withQuery(route, { version: next }), 'replace')
  useHotkeys([
    ['ArrowLeft', () => choose(version - 1)],
    ['ArrowRight', () => choose(version + 1)],
  ])
  if (error) return <Problem error={error} />
  if (commits.length === 0) return null
  return (
    <Card withBorder component="section" aria-label="History">
      <Group justify="space-between" mb="sm">
        <Title order={2}>History</Title>
        <Group gap={6}>
          <ActionIcon variant="default" onClick={() => choose(version - 1)} disabled={version <= 1} aria-label="Earlier version">
            <IconLeft />
          </ActionIcon>
          <Text size="sm" aria-live="polite">
            Version {version}
            {last !== undefined && ` of ${last}`}
          </Text>
          <ActionIcon variant="default" onClick={() => choose(version + 1)} disabled={version >= end} aria-label="Later version">
            <IconRight />
          </ActionIcon>
        </Group>
      </Group>
      {(from > 1 || end > shown) && (
        <Group gap="xs" mb="sm">
          <Button size="compact-sm" variant="default" onClick={() => choose(from - 1)} disabled={from <= 1}>
            Older
          </Button>
          <Text size="sm" c="dimmed">
            Versions {commits[0]?.version} to {shown}
          </Text>
          <Button size="compact-sm" variant="default" onClick={() => choose(shown + 1)} disabled={end <= shown}>
            Newer
          </Button>
        </Group>
      )}
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <ScrollArea.Autosize mah={640} viewportProps={{ tabIndex: 0 }}>
          <Timeline active={version - from} bulletSize={18} lineWidth={2} py={4} pl={14}>
            {commits.map((commit) => (
              <Timeline.Item key={commit.version} title={<CommitTitle commit={commit} chosen={commit.version === version} onChoose={() => choose(commit.version)} />}>
                <CommitBody aggregate={aggregate} id={id} commit={commit} />
              </Timeline.Item>
            ))}
          </Timeline>
        </ScrollArea.Autosize>
        <StateThen aggregate={aggregate} id={id} version={version} />
      </SimpleGrid>
    </Card>
  )
}

const firstOfPage = (version: number): number => version - ((version - 1) % historyPage)

function CommitTitle({ commit, chosen, onChoose }: { commit: Commit; chosen: boolean; onChoose: () => void }) {
  return (
    <Button variant={chosen ? 'light' : 'subtle'} color={chosen ? undefined : 'gray'} size="compact-sm" aria-pressed={chosen} onClick={onChoose}>
      {commit.version}. {humanize(commit.type)}
    </Button>
  )
}

function CommitBody({ aggregate, id, commit }: { aggregate: AggregateManifest; id: string; commit: Commit }) {
  const data = JSON.stringify(commit.data ?? {})
  return (
    <Stack gap={2} pl={8}>
      <Text size="xs" c="dimmed" component="div">
        {commit.user}, <Time value={commit.time} />
        {commit.causationId && <> · because of {commit.messageId.split('/')[0]}</>}
      </Text>
      {data !== '{}' && <span className="mono">{data}</span>}
      {commit.erased && (
        <Text size="xs" c="dimmed" fs="italic">
          {listed(commit.erased.map((name) => humanize(name).toLowerCase()))} erased
        </Text>
      )}
      <Group gap="sm">
        <Anchor fz="xs" href={href(['trace', `${aggregate.name}#${id}`, String(commit.version)])}>
          Trace
        </Anchor>
        <CopyAs label="Copy as JSON" text={JSON.stringify(commit, null, 2)} />
      </Group>
    </Stack>
  )
}

/** The state at a version, with what changed since the one it is compared with. */
function StateThen({ aggregate, id, version }: { aggregate: AggregateManifest; id: string; version: number }) {
  const route = useRoute()
  const base = Math.min(Number(route.query.get('since') ?? version - 1), version - 1)
  const now = useStateAt(aggregate, id, version)
  const before = useStateAt(aggregate, id, base)
  if (now.error) return <Problem error={now.error} />
  if (!now.data) return null
  const changes = diff(base === 0 ? {} : (before.data?.state ?? {}), now.data.state)
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={3}>What changed</Title>
        <Select
          size="xs"
          w={170}
          aria-label="Compare with"
          data={bases(version, base).map((i) => ({ value: String(i), label: i === 0 ? 'since nothing' : `since version ${i}` }))}
          value={String(base)}
          onChange={(value) => navigate(withQuery(route, { since: value ?? undefined }), 'replace')}
          allowDeselect={false}
        />
      </Group>
      <Changes changes={changes} />
      <Group justify="space-between">
        <Title order={3}>State at version {version}</Title>
        <CopyAs label="Copy as JSON" text={JSON.stringify(now.data.state, null, 2)} />
      </Group>
      <Paper bg="var(--mantine-color-default-hover)" p="sm">
        <ScrollArea.Autosize mah={360} viewportProps={{ tabIndex: 0 }}>
          <pre className="mono" style={{ margin: 0 }}>
            {JSON.stringify(now.data.state, null, 2)}
          </pre>
        </ScrollArea.Autosize>
      </Paper>
    </Stack>
  )
}

/** The versions to compare with: the page's, what is chosen, and nothing. */
function bases(version: number, chosen: number): number[] {
  const near = Array.from({ length: version - firstOfPage(version) }, (_, i) => version - 1 - i)
  return [...new Set([...near, version - 1, chosen, 0])].filter((v) => v >= 0)
}

const marks = { added: '+', removed: '−', changed: '~' } as const

function Changes({ changes }: { changes: Change[] }) {
  if (changes.length === 0)
    return (
      <Text size="sm" c="dimmed">
        Nothing.
      </Text>
    )
  return (
    <Table fz="sm" verticalSpacing={3} withTableBorder>
      <Table.Tbody>
        {changes.map((change) => (
          <Table.Tr key={change.path}>
            <Table.Td w={36}>
              <Badge variant="default" size="sm" circle aria-label={change.kind}>
                {marks[change.kind]}
              </Badge>
            </Table.Td>
            <Table.Th scope="row" fw={500} style={{ overflowWrap: 'normal' }}>
              {change.path.slice(1)}
            </Table.Th>
            <Table.Td>
              {change.before !== undefined && <del className="mono">{JSON.stringify(change.before)}</del>}{' '}
              {change.after !== undefined && <ins className="mono">{JSON.stringify(change.after)}</ins>}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  )
}
