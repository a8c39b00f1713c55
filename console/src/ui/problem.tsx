import { Alert, Group, Stack, Text } from '@mantine/core'
import type { ReactNode } from 'react'
import { ApiError, AwayError, inWords } from '../api/problem'
import { CopyText } from './copy'

/** An error in words, with the correlation id to copy, and what can be done about it. */
export function Problem({ error, title, children }: { error: unknown; title?: string; children?: ReactNode }) {
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
        {children && <Group mt="xs">{children}</Group>}
      </Stack>
    </Alert>
  )
}

function titleOf(error: unknown): string {
  if (error instanceof AwayError) return 'The server is away'
  if (error instanceof ApiError) return error.problem.title
  return 'Something went wrong'
}
