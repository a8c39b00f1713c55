import { Alert, Group, Stack, Text } from '@mantine/core'
import { ApiError, AwayError, inWords } from '../api/problem'
import { CopyText } from './copy'

/** An error in words, with the correlation id to copy. */
export function Problem({ error, title }: { error: unknown; title?: string }) {
  const id = error instanceof ApiError ? error.problem.correlationId : undefined
  return (
    <Alert color={error instanceof AwayError ? 'yellow' : 'red'} variant="outline" role="alert" title={title ?? titleOf(error)}>
      <Stack gap={4}>
        <Text size="sm">{inWords(error)}</Text>
        {id && (
          <Group gap={6}>
            <Text size="xs">
              Correlation id <span className="mono">{id}</span>
            </Text>
            <CopyText text={id} label="Copy the correlation id" />
          </Group>
        )}
      </Stack>
    </Alert>
  )
}

function titleOf(error: unknown): string {
  if (error instanceof AwayError) return 'The server is away'
  if (error instanceof ApiError) return error.problem.title
  return 'Something went wrong'
}
