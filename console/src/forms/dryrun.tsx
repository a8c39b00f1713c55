import { Group, Loader, Paper, Stack, Text } from '@mantine/core'
import { useMemo } from 'react'
import { useDebouncedValue } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import { ApiError, inWords } from '../api/problem'
import { fieldsOf, humanize, type Schema } from '../model/schema'
import { useShop } from '../state/shop'
import { validate } from './validator'

interface Props {
  path: string
  schema: Schema
  payload: object
  version?: number
}

/** What sending would append, or why not, before it is sent. */
export function DryRun({ path, schema, payload, version }: Props) {
  const { client, who } = useShop()
  const [asked] = useDebouncedValue(JSON.stringify({ path, payload }), 300)
  const settled = useMemo(() => JSON.parse(asked) as { path: string; payload: object }, [asked])
  const missing = useMemo(() => missingIn(schema, settled.payload), [schema, settled])
  const complete = missing === undefined
  const { data, error, isFetching } = useQuery({
    queryKey: ['dryrun', asked, version],
    queryFn: ({ signal }) => client.dryRun(settled.path, settled.payload, { version, signal }),
    // A server that knows no dry runs would do what it is asked; it doesn't know who asks, either.
    enabled: who !== undefined && complete,
    retry: false,
  })
  if (!who) return null
  return (
    <Paper bg="var(--mantine-color-default-hover)" p="sm" aria-live="polite">
      <Group justify="space-between" mb={4}>
        <Text size="sm" fw={600}>
          Preview
        </Text>
        {isFetching && <Loader size={14} aria-label="Asking" />}
      </Group>
      {!complete && <Text size="sm">{missing}</Text>}
      {complete && error && (
        <Text size="sm">
          {error instanceof ApiError && error.status < 500 ? 'Would be refused' : 'There is no preview now'}: {inWords(error)}
        </Text>
      )}
      {complete && data && data.events.length === 0 && <Text size="sm">Nothing would change.</Text>}
      {complete && data && data.events.length > 0 && (
        <Stack gap={2}>
          {data.events.map((event, i) => (
            <Text key={i} size="sm" component="div">
              Would append <b>{humanize(event.type)}</b> <span className="mono">{JSON.stringify(event.data ?? {})}</span>
            </Text>
          ))}
        </Stack>
      )}
    </Paper>
  )
}

/** Why a form can't be sent yet: what was written wrongly comes first. */
function missingIn(schema: Schema, payload: object): string | undefined {
  const errors = validate(schema, payload)
  const wrong = errors.find(({ name }) => name !== 'required')
  const field = fieldsOf(schema).find(({ name }) => wrong?.property?.split('.')[1] === name)
  if (field && (payload as Record<string, unknown>)[field.name] !== '') return `${field.title}: ${wrong?.message}`
  return errors.length > 0 ? 'The form is not complete yet.' : undefined
}
