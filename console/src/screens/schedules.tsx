import { Badge, Button, Group, Skeleton, Table, Text } from '@mantine/core'
import { useState } from 'react'
import { curlOf } from '../api/client'
import type { Schedule } from '../api/types'
import { duration } from '../model/format'
import { useRefresh, useSchedules } from '../state/queries'
import { useShop } from '../state/shop'
import { CopyAs } from '../ui/copy'
import { Empty } from '../ui/empty'
import { Screen } from '../ui/page'
import { Problem } from '../ui/problem'
import { Time } from '../ui/value'
import { Wide } from '../ui/wide'

/** What tasks do by schedule, and a button that runs one now. */
export default function SchedulesScreen() {
  const { data, error } = useSchedules()
  return (
    <Screen title="Schedules" about="What tasks do by the clock. What was missed while the shop was down runs once at the next start.">
      {error && <Problem error={error} />}
      {!data && !error && <Skeleton h={120} />}
      {data?.items.length === 0 && <Empty title="No task has a schedule." />}
      {data && data.items.length > 0 && (
        <Wide minWidth={720} label="Schedules">
          <Table fz="sm">
            <Table.Thead>
              <Table.Tr>
                <Table.Th scope="col">Schedule</Table.Th>
                <Table.Th scope="col">Next</Table.Th>
                <Table.Th scope="col">Latest, planned for</Table.Th>
                <Table.Th scope="col">How it ended</Table.Th>
                <Table.Th scope="col">Now</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {data.items.map((schedule) => (
                <Line key={schedule.name} schedule={schedule} />
              ))}
            </Table.Tbody>
          </Table>
        </Wide>
      )}
    </Screen>
  )
}

function Line({ schedule }: { schedule: Schedule }) {
  const { client } = useShop()
  const refresh = useRefresh()
  const [error, setError] = useState<unknown>()
  const body = { schedule: schedule.name }
  const run = async () => {
    setError(undefined)
    await client.post('/operations/run', body).catch(setError)
    await refresh()
  }
  return (
    <Table.Tr>
      <Table.Td>
        {schedule.name}
        <Text size="xs" c="dimmed">
          {schedule.cron ? `${schedule.cron}, ${schedule.timeZone ?? 'UTC'}` : `every ${duration(schedule.everySeconds ?? 0)}`}
        </Text>
      </Table.Td>
      <Table.Td>
        <Time value={schedule.next} />
      </Table.Td>
      <Table.Td>{schedule.planned ? <Time value={schedule.planned} /> : '–'}</Table.Td>
      <Table.Td>
        <Outcome schedule={schedule} />
        {schedule.error && <Text size="xs">{schedule.error}</Text>}
      </Table.Td>
      <Table.Td>
        <Group gap="xs" wrap="nowrap">
          <Button size="compact-xs" variant="default" onClick={() => void run()} disabled={!!schedule.asked} aria-label={`Run now: ${schedule.name}`}>
            Run now
          </Button>
          <CopyAs label="Copy as curl" text={curlOf(client.url('/operations/run'), 'POST', {}, body)} />
        </Group>
        {error !== undefined && <Problem error={error} />}
      </Table.Td>
    </Table.Tr>
  )
}

function Outcome({ schedule }: { schedule: Schedule }) {
  const [color, label] = schedule.overdue
    ? ['red', 'Overdue']
    : schedule.asked
      ? ['blue', 'About to run']
      : schedule.outcome === 'failed'
        ? ['red', 'Failed']
        : schedule.outcome === 'running'
          ? ['blue', 'Running']
          : schedule.outcome === 'done'
            ? ['green', 'Done']
            : ['gray', 'Not run yet']
  return (
    <Badge variant="dot" color={color} tt="none" fw={500}>
      {label}
    </Badge>
  )
}
