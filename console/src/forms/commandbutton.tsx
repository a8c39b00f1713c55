import { Button } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { Suspense } from 'react'
import type { AggregateManifest, CommandManifest } from '../api/types'
import { humanize } from '../model/schema'
import { part } from '../ui/part'
import type { Target } from './commanddialog'

const CommandDialog = part(() => import('./commanddialog'))

interface Props {
  aggregate: AggregateManifest
  command: CommandManifest
  target?: Target
  /** Whether the form is open from the start. */
  opened?: boolean
}

/** A command as a button that opens its form. */
export function CommandButton({ aggregate, command, target, opened }: Props) {
  const [open, { open: show, close }] = useDisclosure(opened)
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
