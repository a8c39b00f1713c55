import { Alert, Anchor, Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { useMemo, useRef, useState } from 'react'
import { commandHeaders, curlOf, pathOf } from '../api/client'
import { ApiError } from '../api/problem'
import type { Accepted, AggregateManifest, CommandManifest } from '../api/types'
import { shortName, splitName } from '../model/manifest'
import { fieldsOf, humanize, idFrom, listed } from '../model/schema'
import { useRefresh } from '../state/queries'
import { href, navigate } from '../state/router'
import { useShop } from '../state/shop'
import { writes } from '../state/writes'
import { CopyAs } from '../ui/copy'
import { Problem } from '../ui/problem'
import { Changed } from './changed'
import { DryRun } from './dryrun'
import { firstVersion, untilQuiet } from './follow'
import { KeyRing } from './keyring'
import { SchemaForm } from './schemaform'

/** What a command is sent to, as the person saw it. */
export interface Target {
  id: string
  version?: number
  /** Present values to start from. */
  present?: Record<string, unknown>
}

interface Props {
  aggregate: AggregateManifest
  command: CommandManifest
  target?: Target
  onClose: () => void
}

type Payload = Record<string, unknown>

export default function CommandDialog({ aggregate, command, target, onClose }: Props) {
  const { client, model } = useShop()
  const refresh = useRefresh()
  const fields = fieldsOf(command.schema)
  const [payload, setPayload] = useState<Payload>(() => initial(fields.map((f) => f.name), target?.present))
  const [typedId, setTypedId] = useState<string>()
  const [version, setVersion] = useState(target?.version)
  const [error, setError] = useState<unknown>()
  const [sending, setSending] = useState(false)
  const keys = useRef(new KeyRing()).current
  const fallbackId = useMemo(() => `${shortName(aggregate.name).toLowerCase()}-${crypto.randomUUID().slice(0, 8)}`, [aggregate.name])
  const label = model.mainView(aggregate.name)?.label
  const id = target?.id ?? typedId ?? idFrom(payload[label ?? ''], fallbackId)
  const path = pathOf(command.path, id)
  const conflict = error instanceof ApiError && error.code === 'VersionMismatch'

  const send = async (sent: Payload, expected = version) => {
    setSending(true)
    setError(undefined)
    try {
      const key = keys.keyFor(path, sent)
      const accepted = await client.command(path, sent, { version: expected, idempotencyKey: key })
      onClose()
      await done(accepted)
    } catch (failure) {
      setError(failure)
    } finally {
      setSending(false)
    }
  }

  const done = async (accepted: Accepted) => {
    const stream = `${accepted.aggregate}#${accepted.id}`
    writes.remember(stream, accepted.version)
    notifications.show({ color: 'green', title: humanize(command.name), message: <Done accepted={accepted} /> })
    if (!target) {
      const { plugin, name } = splitName(accepted.aggregate)
      navigate(href([plugin, name, accepted.id]))
    }
    await refresh()
    await untilQuiet(client, accepted, refresh)
  }

  return (
    <Modal opened onClose={onClose} size="lg" title={`${humanize(command.name)}: ${target ? id : humanize(shortName(aggregate.name)).toLowerCase()}`}>
      <Stack>
        {command.help && <Text size="sm">{command.help}</Text>}
        <SchemaForm
          schema={command.schema}
          value={payload}
          error={error}
          onChange={setPayload}
          onSubmit={(sent) => void send(sent)}
          before={
            !target && (
              <TextInput
                label="Id"
                description="Names it for ever. Letters, digits and . _ ~ -"
                value={id}
                onChange={(e) => setTypedId(e.currentTarget.value)}
                required
                error={error instanceof ApiError && error.code === 'InvalidId' ? error.message : undefined}
              />
            )
          }
        >
          <Stack mt="md">
            <DryRun path={path} schema={command.schema} payload={payload} version={version} />
            {conflict && target && (
              <Changed
                aggregate={aggregate}
                id={id}
                seen={version}
                onAccept={(present) => {
                  setVersion(present)
                  void send(payload, present)
                }}
              />
            )}
            {error !== undefined && !conflict && <Problem error={error} />}
            {command.destructive && (
              <Alert color="red" variant="outline" title="This can't be undone.">
                {command.erases && (
                  <>
                    {listed(command.erases.map((name) => humanize(name).toLowerCase()))} of {id} {command.erases.length > 1 ? 'are' : 'is'} deleted everywhere, from the history, too. What else was done stays, with its
                    times and numbers.{' '}
                  </>
                )}
                {fields.length === 0 ? 'It takes effect as soon as you send it.' : undefined}
              </Alert>
            )}
            <Group justify="space-between">
              <CopyAs label="Copy as curl" text={curlOf(client.url(path), 'POST', commandHeaders({ version }), payload)} />
              <Group gap="xs">
                <Button variant="default" onClick={onClose}>
                  Close
                </Button>
                <Button type="submit" loading={sending} color={command.destructive ? 'red' : undefined}>
                  {humanize(command.name)}
                </Button>
              </Group>
            </Group>
          </Stack>
        </SchemaForm>
      </Stack>
    </Modal>
  )
}

function initial(names: string[], present: Payload = {}): Payload {
  return Object.fromEntries(names.filter((name) => present[name] !== undefined).map((name) => [name, present[name]]))
}

function Done({ accepted }: { accepted: Accepted }) {
  if (accepted.events.length === 0) return 'Accepted. There was nothing to change.'
  return (
    <>
      {accepted.events.map(humanize).join(', ')}.{' '}
      <Anchor href={href(['trace', `${accepted.aggregate}#${accepted.id}`, String(firstVersion(accepted))])}>See what it set off</Anchor>
    </>
  )
}
