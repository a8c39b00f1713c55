import { Alert, Button, Group, List, Loader, Stack, Text } from '@mantine/core'
import type { AggregateManifest } from '../api/types'
import { humanize } from '../model/schema'
import { useHistory } from '../state/queries'
import { Problem } from '../ui/problem'
import { Time } from '../ui/value'

interface Props {
  aggregate: AggregateManifest
  id: string
  /** The version that the person saw. */
  seen?: number
  onAccept: (present: number) => void
}

/** Somebody else was faster: shows what changed, and asks. */
export function Changed({ aggregate, id, seen = 0, onAccept }: Props) {
  const { data, error } = useHistory(aggregate, id, seen + 1, undefined)
  if (error) return <Problem error={error} />
  if (!data) return <Loader size="sm" aria-label="Loading" />
  const present = data.commits.at(-1)?.version ?? seen
  return (
    <Alert color="yellow" variant="outline" role="alert" title="Somebody else was faster">
      <Stack gap="xs">
        <Text size="sm">Since you looked, this happened:</Text>
        <List size="sm">
          {data.commits.map((commit) => (
            <List.Item key={commit.version}>
              <b>{humanize(commit.type)}</b> by {commit.user}, <Time value={commit.time} />{' '}
              <span className="mono">{JSON.stringify(commit.data ?? {})}</span>
            </List.Item>
          ))}
        </List>
        <Group>
          <Button size="xs" variant="default" onClick={() => onAccept(present)}>
            Send it all the same
          </Button>
        </Group>
      </Stack>
    </Alert>
  )
}
