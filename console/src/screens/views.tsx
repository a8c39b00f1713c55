import { Anchor, Badge, Button, Card, Group, Progress, Skeleton, Table, Text, Title } from '@mantine/core'
import { useState } from 'react'
import { curlOf } from '../api/client'
import type { Consumer, ReadModelManifest } from '../api/types'
import { shortName, splitName } from '../model/manifest'
import { duration } from '../model/format'
import { humanize } from '../model/schema'
import { useHealth, useRefresh } from '../state/queries'
import { href } from '../state/router'
import { useShop } from '../state/shop'
import { CopyAs } from '../ui/copy'
import { Screen } from '../ui/page'
import { Problem } from '../ui/problem'
import { Wide } from '../ui/wide'

/** Each view's distance from the log, and what brings it up to date. */
export default function ViewsScreen() {
  const { model, client } = useShop()
  const { data, error } = useHealth()
  const consumers = new Map(data?.plugins.flatMap((p) => p.consumers).map((c) => [c.name, c]))
  const sweep = useSteps('/operations/sweep', {})
  return (
    <Screen
      title="Views"
      about="Views follow the log. A rebuild folds one again from the log while the shop is open."
      actions={
        <>
          <CopyAs label="Copy as curl" text={curlOf(client.url('/operations/sweep'), 'POST', {}, {})} />
          <Button size="xs" variant="default" onClick={sweep.run} disabled={sweep.running} title="Brings every follower and view up to date">
            {sweep.running ? `${sweep.done} streams …` : 'Sweep'}
          </Button>
        </>
      }
    >
      {error && <Problem error={error} />}
      {sweep.error !== undefined && <Problem error={sweep.error} />}
      {sweep.running && <Progress value={100} striped animated aria-label="Sweeping" />}
      {sweep.finished && <Text size="sm" role="status">Swept {sweep.done} streams.</Text>}
      {!data && !error && <Skeleton h={200} />}
      {data &&
        model.plugins.map((plugin) => (
          <Card withBorder key={plugin.name} component="section" aria-label={plugin.name}>
            <Title order={2} mb="xs">
              {humanize(plugin.name)}
            </Title>
            <Wide minWidth={480} label={plugin.name}>
              <Table fz="sm">
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th scope="col">View</Table.Th>
                    <Table.Th scope="col">State</Table.Th>
                    <Table.Th scope="col" className="numeric">
                      Behind by
                    </Table.Th>
                    <Table.Th scope="col" w={300}>
                      Rebuild
                    </Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {plugin.readModels.map((view) => (
                    <ViewLine key={view.name} view={view} consumer={consumers.get(`readmodel:${view.name}`)} />
                  ))}
                </Table.Tbody>
              </Table>
            </Wide>
          </Card>
        ))}
    </Screen>
  )
}

function ViewLine({ view, consumer }: { view: ReadModelManifest; consumer?: Consumer }) {
  const { client } = useShop()
  const body = { readModel: view.name }
  const rebuild = useSteps('/operations/rebuild', body)
  const { plugin, name } = splitName(view.name)
  return (
    <Table.Tr>
      <Table.Td>
        <Anchor href={href([plugin, name])}>{humanize(shortName(view.name))}</Anchor>
      </Table.Td>
      <Table.Td>
        <StateBadge consumer={consumer} />
      </Table.Td>
      <Table.Td className="numeric">{consumer ? duration(consumer.lagSeconds) : '–'}</Table.Td>
      <Table.Td>
        {rebuild.running ? (
          <Group gap="xs" wrap="nowrap">
            <Progress value={100} striped animated flex={1} aria-label={`Rebuilding ${view.name}`} />
            <Text size="xs">{rebuild.done} rows</Text>
          </Group>
        ) : (
          <Group gap="xs">
            <Button size="compact-xs" variant="default" onClick={rebuild.run} aria-label={`Rebuild ${humanize(name)}`}>
              Rebuild
            </Button>
            <CopyAs label="Copy as curl" text={curlOf(client.url('/operations/rebuild'), 'POST', {}, body)} />
            {rebuild.finished && (
              <Text size="xs" role="status">
                Done, {rebuild.done} rows.
              </Text>
            )}
          </Group>
        )}
        {rebuild.error !== undefined && <Problem error={rebuild.error} />}
      </Table.Td>
    </Table.Tr>
  )
}

function StateBadge({ consumer }: { consumer?: Consumer }) {
  const [color, label] = !consumer
    ? ['gray', 'Unknown']
    : consumer.parked > 0
      ? ['red', `${consumer.parked} parked`]
      : consumer.stale
        ? ['yellow', `Being brought up to date${far(consumer.refolded)}`]
        : consumer.lagSeconds > 10
          ? ['yellow', 'Catching up']
          : ['green', 'Up to date']
  return (
    <Badge variant="dot" color={color} tt="none" fw={500}>
      {label}
    </Badge>
  )
}

function far(refolded: Consumer['refolded']): string {
  if (!refolded) return ''
  return refolded.of === undefined ? `: ${refolded.done}` : `: ${refolded.done} of ${refolded.of}`
}

/** Takes an operation step by step to its end, and tells how far it is. */
function useSteps(path: string, body: object) {
  const { client } = useShop()
  const refresh = useRefresh()
  const [state, setState] = useState<{ running: boolean; finished: boolean; done: number; error?: unknown }>({ running: false, finished: false, done: 0 })
  const run = async () => {
    setState({ running: true, finished: false, done: 0 })
    try {
      const done = await client.steps(path, body, (sofar) => setState({ running: true, finished: false, done: sofar }))
      setState({ running: false, finished: true, done })
    } catch (error) {
      setState({ running: false, finished: false, done: 0, error })
    }
    await refresh()
  }
  return { ...state, run: () => void run() }
}
