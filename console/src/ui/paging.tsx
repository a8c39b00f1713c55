import { Button, Group, Stack, Text } from '@mantine/core'
import { useRoute, withQuery } from '../state/router'
import { IconRight } from './icons'

/** Leads through the pages of a list; the URL has where one is. */
export function Paging({ next, cursor }: { next?: string; cursor?: string }) {
  const route = useRoute()
  if (!next && !cursor) return null
  const page = Number(route.query.get('page') ?? 1)
  return (
    <Stack gap={4} align="flex-end">
      <Group gap="xs">
        <Text size="sm" c="dimmed">
          Page {page}
        </Text>
        {cursor && (
          <>
            <Button variant="default" size="xs" component="a" href={withQuery(route, { cursor: undefined, page: undefined })}>
              First
            </Button>
            <Button variant="default" size="xs" onClick={() => history.back()}>
              Back
            </Button>
          </>
        )}
        <Button
          variant="default"
          size="xs"
          component="a"
          href={next ? withQuery(route, { cursor: next, page: page + 1 }) : undefined}
          data-disabled={!next || undefined}
          aria-disabled={!next}
          rightSection={<IconRight size={14} />}
        >
          Next
        </Button>
      </Group>
    </Stack>
  )
}
