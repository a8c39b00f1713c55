import { Anchor, Card, Group, Progress, Stack, Text, Title } from '@mantine/core'
import type { Row, TaskManifest } from '../api/types'
import { isAdmin } from '../model/manifest'
import { number } from '../model/format'
import { useRows } from '../state/queries'
import { useShop } from '../state/shop'

/** What a task's view says of how far it is, where it does: see Reports of es.Task. */
export const progressFields = ['status', 'size', 'offset', 'report']

export const isRunning = (row: Row): boolean => row.status === 'running'

/** How far an import is, by the bytes that it has read. */
export function importProgress(row: Row): number {
  if (!isRunning(row)) return 100
  const size = Number(row.size)
  return size > 0 ? Math.min(100, Math.floor((Number(row.offset ?? 0) / size) * 100)) : 0
}

export function RunningImports() {
  const { model, who } = useShop()
  if (!isAdmin(who)) return null
  return model.tasks.map((task) => <Running key={task.name} task={task} />)
}

function Running({ task }: { task: TaskManifest }) {
  const { model } = useShop()
  const { data } = useRows(model.importsOf(task), { limit: 50 })
  const running = data?.items.filter(isRunning) ?? []
  if (running.length === 0) return null
  return (
    <Card withBorder component="section" aria-label="Imports running">
      <Group justify="space-between" mb="xs">
        <Title order={2}>Imports running</Title>
        <Anchor fz="sm" href="#/imports">
          All
        </Anchor>
      </Group>
      <Stack gap="xs">
        {running.map((row) => (
          <Group key={row.id} wrap="nowrap">
            <Text size="sm" w={160} truncate>
              {row.id}
            </Text>
            <Progress value={importProgress(row)} flex={1} aria-label={`${row.id} is imported`} />
            <Text size="sm">{number(importProgress(row))} %</Text>
          </Group>
        ))}
      </Stack>
    </Card>
  )
}
