import { Button, Stack, Text } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { Suspense, useId } from 'react'
import type { AggregateManifest, CommandManifest } from '../api/types'
import { humanize } from '../model/schema'
import { part } from '../ui/part'
import type { Target } from './commanddialog'
import { useRefusal } from './refusal'

const CommandDialog = part(() => import('./commanddialog'))

interface Props {
  aggregate: AggregateManifest
  command: CommandManifest
  target?: Target
  /** Whether the form is open from the start. */
  opened?: boolean
}

/** A command as a button that opens its form, or says why it would be refused now. */
export function CommandButton({ aggregate, command, target, opened }: Props) {
  const [open, { open: show, close }] = useDisclosure(opened)
  const refusal = useRefusal(command, target)
  const why = useId()
  if (refusal && !open)
    return (
      <Stack gap={2} maw={200}>
        <Button size="xs" variant="default" disabled aria-describedby={why}>
          {humanize(command.name)}
        </Button>
        <Text id={why} size="xs" c="dimmed" ta="center">
          {refusal}
        </Text>
      </Stack>
    )
  return (
    <>
      <Button size="xs" variant={target ? 'default' : 'filled'} c={command.destructive ? 'var(--mantine-color-error)' : undefined} onClick={show} title={command.help}>
        {humanize(command.name)}
      </Button>
      {open && (
        <Suspense>
          <CommandDialog aggregate={aggregate} command={command} target={target} onClose={close} />
        </Suspense>
      )}
    </>
  )
}
