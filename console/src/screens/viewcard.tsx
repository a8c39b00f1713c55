import { Anchor, Card, Group, Progress, Skeleton, Stack, Text, Title } from '@mantine/core'
import type { ReadModelManifest } from '../api/types'
import { insightOf, type Bar } from '../model/insight'
import { shortName, splitName } from '../model/manifest'
import { number } from '../model/format'
import { humanize } from '../model/schema'
import { useSample } from '../state/queries'
import { href } from '../state/router'
import { rowHref } from '../ui/reflink'

/** A view on the dashboard: how many rows, and what they tell at a glance. */
export function ViewCard({ view }: { view: ReadModelManifest }) {
  const { data, error } = useSample(view)
  const { plugin, name } = splitName(view.name)
  const insight = data && insightOf(view, data.items)
  const most = Math.max(1, ...(insight?.bars.map((bar) => bar.count) ?? []))
  return (
    <Card withBorder component="section" aria-label={humanize(name)}>
      <Group justify="space-between" mb={insight ? 'sm' : 0} wrap="nowrap">
        <Title order={3}>
          <Anchor href={href([plugin, name])} c="inherit">
            {humanize(shortName(view.name))}
          </Anchor>
        </Title>
        {data ? (
          <Text fw={600} title={data.next ? 'There are more than were counted.' : undefined}>
            {number(data.items.length)}
            {data.next && '+'}
          </Text>
        ) : error ? (
          <Text size="sm" c="dimmed">
            not for you
          </Text>
        ) : (
          <Skeleton w={32} h={20} />
        )}
      </Group>
      {insight && (
        <Stack gap={2}>
          <Text size="xs" c="dimmed">
            {insight.title}
          </Text>
          {insight.bars.map((bar) => (
            <BarLine key={bar.id ?? bar.label} bar={bar} most={most} to={bar.id && view.aggregate ? rowHref(view, bar.id) : undefined} />
          ))}
        </Stack>
      )}
    </Card>
  )
}

function BarLine({ bar, most, to }: { bar: Bar; most: number; to?: string }) {
  return (
    <Group gap="xs" wrap="nowrap">
      <Text size="sm" w={120} lh="24px" truncate>
        {to ? (
          <Anchor href={to} c="inherit" display="block">
            {bar.label}
          </Anchor>
        ) : (
          bar.label
        )}
      </Text>
      <Progress value={(bar.count / most) * 100} flex={1} aria-label={`${bar.label}: ${bar.count}`} />
      <Text size="sm" className="numeric" w={36}>
        {number(bar.count)}
      </Text>
    </Group>
  )
}
