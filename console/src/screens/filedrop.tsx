import { Button, Paper, Stack, Text } from '@mantine/core'
import { useEffect, useRef, useState, type DragEvent } from 'react'
import { IconUpload } from '../ui/icons'

/** A place to drop files on, or to choose them. */
export function FileDrop({ onFiles }: { onFiles: (files: File[]) => void }) {
  const input = useRef<HTMLInputElement>(null)
  const [over, setOver] = useState(false)
  useEffect(() => {
    addEventListener('dragover', refuse)
    addEventListener('drop', refuse)
    return () => {
      removeEventListener('dragover', refuse)
      removeEventListener('drop', refuse)
    }
  }, [])
  const drop = (event: DragEvent) => {
    event.preventDefault()
    setOver(false)
    onFiles([...event.dataTransfer.files])
  }
  return (
    <Paper
      withBorder
      p="lg"
      style={{ borderStyle: 'dashed', borderWidth: 2 }}
      bg={over ? 'var(--mantine-primary-color-light)' : undefined}
      onDragOver={(event) => {
        event.preventDefault()
        setOver(true)
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <Stack align="center" gap="xs">
        <IconUpload size={28} />
        <Text size="sm">Drop CSV files here, several at once if you like.</Text>
        <Button size="xs" variant="default" onClick={() => input.current?.click()}>
          Choose files
        </Button>
        <input
          ref={input}
          type="file"
          multiple
          hidden
          aria-label="Files to import"
          onChange={(event) => {
            onFiles([...(event.currentTarget.files ?? [])])
            event.currentTarget.value = ''
          }}
        />
      </Stack>
    </Paper>
  )
}

/** A file that is dropped beside the place would be opened by the browser, instead of the page. */
function refuse(event: globalThis.DragEvent): void {
  if (event.defaultPrevented) return
  event.preventDefault()
  if (event.dataTransfer) event.dataTransfer.dropEffect = 'none'
}
