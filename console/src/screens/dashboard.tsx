import { Alert, Anchor, Badge, Button, Card, Group, Progress, SimpleGrid, Skeleton, Stack, Text, Title } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { useState } from 'react'
import { inWords } from '../api/problem'
import type { Health, PluginHealth } from '../api/types'
import { isAdmin, mayUse } from '../model/manifest'
import { ago, duration } from '../model/format'
import { humanize } from '../model/schema'
import { useHealth, useRefresh, useSample } from '../state/queries'
import { useShop } from '../state/shop'
import { IconCheck } from '../ui/icons'
import { Screen } from '../ui/page'
import { Problem } from '../ui/problem'
import { RunningImports } from './importrows'
import { ViewCard } from './viewcard'

export function Dashboard() {
  const { config, model, who } = useShop()
  const { data, error } = useHealth()
  const views = model.views.filter((view) => mayUse(view.access, who))
  return (
    <Screen title="Dashboard" about={`${config.name}, version ${model.manifest.version}`}>
      {error && <Problem error={error} />}
      <BundleFailures />
      <Demo />
      {data && <Verdict health={data} />}
      <RunningImports />
      {!data && !error && <Skeleton h={120} />}
      <SimpleGrid cols={{ base: 1, md: 2 }}>{data?.plugins.map((plugin) => <PluginCard key={plugin.name} plugin={plugin} />)}</SimpleGrid>
      <Title order={2}>What there is</Title>
      <div className="columns">
        {views.map((view) => (
          <ViewCard key={view.name} view={view} />
        ))}
      </div>
      <Text size="xs" c="dimmed">
        <Anchor href="licenses.txt" target="_blank" inherit underline="always">
          Licences
        </Anchor>{' '}
        of what this page is made of.
      </Text>
    </Screen>
  )
}

/** Says to Admins which parts of the page are missing, since nothing else would. */
function BundleFailures() {
  const { bundles, who } = useShop()
  if (!isAdmin(who)) return null
  return bundles.failures.map(({ plugin, url, error }) => (
    <Alert key={plugin} color="yellow" variant="outline" role="alert" title={`${humanize(plugin)}’s part of the page did not load.`}>
      <Text size="sm">
        {inWords(error)} It is expected at <span className="mono">{url}</span>, which the setting {plugin.toUpperCase()}_UI_BUNDLE_URL changes. All else is there.
      </Text>
    </Alert>
  ))
}

const slow = 30

function Verdict({ health }: { health: Health }) {
  const problems = health.problems?.map(({ component, detail }) => `${component}: ${detail}`) ?? []
  const failing = health.plugins.flatMap((plugin) => [
    ...(plugin.connected ? [] : [`${humanize(plugin.name)} is not connected.`]),
    ...plugin.consumers.flatMap((consumer) => [
      ...(consumer.parked > 0 ? [`${consumer.name} has ${consumer.parked} parked.`] : []),
      ...(consumer.lagSeconds > slow ? [`${consumer.name} is ${duration(consumer.lagSeconds)} behind.`] : []),
    ]),
  ])
  const troubles = [...problems, ...failing]
  if (troubles.length === 0)
    return (
      <Alert color="green" variant="outline" py="xs" icon={<IconCheck size={20} />}>
        <b>All is well.</b> Everything is connected, up to date, and nothing failed.
      </Alert>
    )
  return (
    <Alert color="red" variant="outline" title="Something needs a look.">
      <Stack gap={2}>
        {troubles.map((trouble) => (
          <Text size="sm" key={trouble}>
            {trouble}
          </Text>
        ))}
        {failing.length > 0 && (
          <Anchor fz="sm" href="#/failures">
            See what failed
          </Anchor>
        )}
      </Stack>
    </Alert>
  )
}

function PluginCard({ plugin }: { plugin: PluginHealth }) {
  const { model } = useShop()
  const lag = Math.max(0, ...plugin.consumers.map((c) => c.lagSeconds))
  const parked = plugin.consumers.reduce((sum, c) => sum + c.parked, 0)
  const stale = plugin.consumers.filter((c) => c.stale).length
  const rejected = plugin.consumers.reduce((sum, c) => sum + (c.rejected ?? 0), 0)
  const components = model.plugins.find((p) => p.name === plugin.name)
  return (
    <Card withBorder component="section" aria-label={plugin.name}>
      <Group justify="space-between" mb="sm">
        <Title order={2}>{humanize(plugin.name)}</Title>
        <Badge variant="dot" color={plugin.connected ? 'green' : 'red'} tt="none" fw={500}>
          {plugin.connected ? 'Connected' : 'Not connected'}
          {plugin.lastHeartbeat && `, ${ago(plugin.lastHeartbeat)}`}
        </Badge>
      </Group>
      <Group gap="xl">
        <Figure label="Behind by" value={duration(lag)} />
        <Figure label="Parked" value={parked} href="#/failures" alert={parked > 0} />
        <Figure label="Rejected today" value={rejected} href="#/failures" />
        <Figure label="Stale views" value={stale} href="#/views" alert={stale > 0} />
        {components && <Figure label="Views" value={components.readModels.length} href="#/views" />}
      </Group>
    </Card>
  )
}

function Figure({ label, value, href, alert }: { label: string; value: string | number; href?: string; alert?: boolean }) {
  return (
    <div>
      <Text size="xs" c="dimmed">
        {label}
      </Text>
      <Text fw={600} size="lg" c={alert ? 'var(--mantine-color-error)' : undefined}>
        {href ? (
          <Anchor href={href} c="inherit" aria-label={`${label}: ${value}`}>
            {value}
          </Anchor>
        ) : (
          value
        )}
      </Text>
    </div>
  )
}

/** An empty shop offers the demo. */
function Demo() {
  const { client, config, model } = useShop()
  const first = useSample(model.views.find((view) => view.access.groups.length === 0))
  const refresh = useRefresh()
  const [loading, setLoading] = useState(false)
  if (!config.demo || !first.data || first.data.items.length > 0) return null
  const load = async () => {
    setLoading(true)
    try {
      await client.post('/console/demo', {})
      notifications.show({ color: 'green', message: 'The demo is loaded. Look around.' })
    } catch (error) {
      notifications.show({ color: 'red', title: 'The demo was not loaded', message: inWords(error) })
    }
    setLoading(false)
    await refresh()
  }
  return (
    <Card withBorder>
      <Stack align="flex-start" gap="xs">
        <Title order={2}>This shop is empty.</Title>
        <Text size="sm">Load the demo to look around in, or add the first things yourself from the menu.</Text>
        {loading ? <Progress value={100} striped animated w={200} aria-label="Loading the demo" /> : <Button onClick={() => void load()}>Load the demo</Button>}
      </Stack>
    </Card>
  )
}
