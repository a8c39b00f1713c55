import { Button, Card, Group, Modal, Paper, Stack, Table, Text, TextInput, Title } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { notifications } from '@mantine/notifications'
import { useState } from 'react'
import { curlOf } from '../api/client'
import { inWords, isMissingEndpoint } from '../api/problem'
import type { Parked } from '../api/types'
import { groupParked, type ParkedGroup } from '../model/parked'
import { splitConsumer, splitName } from '../model/manifest'
import { humanize } from '../model/schema'
import { useFreshParked, useParked, useRefresh } from '../state/queries'
import { useShop } from '../state/shop'
import { CopyAs } from '../ui/copy'
import { Empty } from '../ui/empty'
import { Screen } from '../ui/page'
import { Problem } from '../ui/problem'
import { StreamLink, Time } from '../ui/value'
import { Wide } from '../ui/wide'
import { Rejections } from './rejections'

/** What failed and waits, by consumer and error, with the buttons that help. */
export default function FailuresScreen() {
  const { client } = useShop()
  const { data, error } = useParked()
  const run = useOperation()
  return (
    <Screen
      title="Failures"
      about="What failed is parked and tried again by itself, with growing pauses. All else goes on."
      actions={
        data && data.items.length > 0 && (
          <>
            <CopyAs label="Copy as curl" text={curlOf(client.url('/operations/redrive'), 'POST', {}, {})} />
            <Button size="xs" onClick={() => void run(() => client.steps('/operations/redrive', {}, () => undefined), 'Tried everything again.', data.items)}>
              Redrive all
            </Button>
          </>
        )
      }
    >
      {error && <Problem error={error} />}
      {data?.items.length === 0 && <Empty title="Nothing failed.">All is well. What fails shows up here, with why.</Empty>}
      {data && groupParked(data.items).map((group) => <ParkedCard key={`${group.consumer} ${group.error}`} group={group} />)}
      {data?.more && <Text size="sm">There are more. Redrive these first.</Text>}
      <Rejections />
    </Screen>
  )
}

function ParkedCard({ group }: { group: ParkedGroup }) {
  const { client } = useShop()
  const run = useOperation()
  const { kind, name } = splitConsumer(group.consumer)
  const redrive = async () => {
    for (const { consumer, stream } of group.items) await client.post('/operations/redrive', { consumer, stream })
  }
  const skips = maySkip(kind)
  return (
    <Card withBorder component="section" aria-label={group.consumer}>
      <Group justify="space-between" align="flex-start" mb="xs">
        <div>
          <Title order={2}>{humanize(splitName(name).name)}</Title>
          <Text size="xs" c="dimmed">
            {kind} in {splitName(name).plugin}, {group.items.length} parked
          </Text>
        </div>
        <Button size="xs" variant="default" onClick={() => void run(redrive, 'Tried the group again.', group.items)}>
          Redrive {group.items.length === 1 ? 'it' : `these ${group.items.length}`}
        </Button>
      </Group>
      <Paper p="xs" mb="xs" bg="var(--mantine-color-default-hover)">
        <span className="mono">{group.error}</span>
      </Paper>
      {!skips && (
        <Text size="sm" mb="xs">
          It needs every commit, so there is nothing to skip: mend what it fails on, and redrive it.
        </Text>
      )}
      <Wide minWidth={600} label={group.consumer}>
        <Table fz="sm">
          <Table.Thead>
            <Table.Tr>
              <Table.Th scope="col">Stream</Table.Th>
              <Table.Th scope="col">Since</Table.Th>
              <Table.Th scope="col">Last try</Table.Th>
              {group.items.some((item) => item.next) && <Table.Th scope="col">Next try</Table.Th>}
              <Table.Th scope="col" className="numeric">
                Attempts
              </Table.Th>
              <Table.Th scope="col">Do</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {group.items.map((item) => (
              <ParkedLine key={item.stream} item={item} skips={skips} withNext={group.items.some((other) => other.next)} />
            ))}
          </Table.Tbody>
        </Table>
      </Wide>
    </Card>
  )
}

// Followers act on each commit by itself; a view or a publication is made of all of them.
const maySkip = (kind: string): boolean => kind !== 'readmodel' && kind !== 'publication'

function ParkedLine({ item, skips, withNext }: { item: Parked; skips: boolean; withNext: boolean }) {
  const { client } = useShop()
  const run = useOperation()
  const [skipping, { open, close }] = useDisclosure()
  const key = { consumer: item.consumer, stream: item.stream }
  return (
    <Table.Tr>
      <Table.Td>
        <StreamLink stream={item.stream} />
      </Table.Td>
      <Table.Td>
        <Time value={item.since} />
      </Table.Td>
      <Table.Td>
        <Time value={item.last} />
      </Table.Td>
      {withNext && <Table.Td>{item.next && <Time value={item.next} />}</Table.Td>}
      <Table.Td className="numeric">{item.attempts}</Table.Td>
      <Table.Td>
        <Group gap={6} wrap="nowrap">
          <Button size="compact-xs" variant="default" onClick={() => void run(() => client.post('/operations/redrive', key), 'Tried again.', [item])}>
            Redrive
          </Button>
          {skips && (
            <Button size="compact-xs" variant="default" onClick={open}>
              Skip …
            </Button>
          )}
          {skipping && <SkipDialog item={item} onClose={close} />}
        </Group>
      </Table.Td>
    </Table.Tr>
  )
}

function SkipDialog({ item, onClose }: { item: Parked; onClose: () => void }) {
  const { client } = useShop()
  const run = useOperation()
  const [reason, setReason] = useState('')
  const body = { consumer: item.consumer, stream: item.stream, reason }
  return (
    <Modal opened onClose={onClose} title="Skip the failing commit">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void run(() => client.post('/operations/skip', body), 'Skipped.').then((ok) => ok && onClose())
        }}
      >
        <Stack>
          <Text size="sm">
            {item.consumer} goes on behind the commit of <span className="mono">{item.stream}</span> that fails. What it would have done never
            happens. Who skipped it and why is kept.
          </Text>
          <TextInput label="Reason" required value={reason} onChange={(e) => setReason(e.currentTarget.value)} data-autofocus />
          <Group justify="space-between">
            <CopyAs label="Copy as curl" text={curlOf(client.url('/operations/skip'), 'POST', {}, body)} />
            <Button type="submit" color="red" disabled={!reason.trim()}>
              Skip it
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}

/** Runs an operation, asks for everything again, and says how it went: for those that were tried again, whether they are still parked. */
function useOperation() {
  const refresh = useRefresh()
  const parked = useFreshParked()
  return async (operation: () => Promise<unknown>, done: string, tried: Parked[] = []): Promise<boolean> => {
    try {
      await operation()
      await refresh()
      const left = parked().filter((item) => tried.some((other) => other.consumer === item.consumer && other.stream === item.stream)).length
      if (left > 0) notifications.show({ color: 'yellow', message: `${done} ${tried.length === 1 ? 'It' : `${left} of ${tried.length}`} failed again.` })
      else notifications.show({ color: 'green', message: done })
      return true
    } catch (error) {
      const message = isMissingEndpoint(error) ? 'This shop does not offer that yet.' : inWords(error)
      notifications.show({ color: 'red', title: 'That did not work', message })
      await refresh()
      return false
    }
  }
}
