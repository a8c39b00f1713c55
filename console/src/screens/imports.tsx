import { Anchor, Button, Card, Group, Paper, Progress, Stack, Text, Title } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { pathOf } from '../api/client'
import type { ReadModelManifest, Row, TaskManifest } from '../api/types'
import { shortName, splitName } from '../model/manifest'
import { fieldsOf, humanize, isNumeric, isTime, typeOf } from '../model/schema'
import { useRefresh, useRows } from '../state/queries'
import { href } from '../state/router'
import { useShop } from '../state/shop'
import { Empty } from '../ui/empty'
import { Screen } from '../ui/page'
import { Problem } from '../ui/problem'
import { save } from '../ui/save'
import { Status, Time, Value } from '../ui/value'
import { FileDrop } from './filedrop'
import { importProgress, isRunning, progressFields } from './importrows'
import { Report } from './report'
import { useUploads } from './uploads'

/** Files for tasks: drop them here, see how far they are, and what was wrong in them. */
export default function ImportsScreen() {
  const { model } = useShop()
  const tasks = model.tasks.filter((task) => task.upload ?? task.report)
  return (
    <Screen title="Imports" about="Drop files here. What people do goes on beside them, however large they are.">
      {tasks.length === 0 && <Empty title="No plugin takes files." />}
      {tasks.map((task) => (
        <Task key={task.name} task={task} />
      ))}
    </Screen>
  )
}

function Task({ task }: { task: TaskManifest }) {
  return (
    <Card withBorder component="section" aria-label={humanize(shortName(task.name))}>
      <Group justify="space-between" mb="sm">
        <Title order={2}>{humanize(shortName(task.name))}</Title>
        {task.example && (
          <Button size="xs" variant="default" onClick={() => save('example.csv', task.example!, 'text/csv')}>
            Example file
          </Button>
        )}
      </Group>
      <Stack>
        {task.upload ? (
          <Uploading path={task.upload} />
        ) : (
          <Text size="sm" c="dimmed">
            Put files into the folder or bucket “{task.bucket}”. They show up here.
          </Text>
        )}
        <Imports task={task} />
      </Stack>
    </Card>
  )
}

function Uploading({ path }: { path: string }) {
  const { client } = useShop()
  const refresh = useRefresh()
  const { uploads, add } = useUploads(client, path, refresh)
  return (
    <>
      <FileDrop onFiles={add} />
      {uploads.map((upload) => (
        <Group key={upload.nr} wrap="nowrap">
          <Text size="sm" w={160} truncate>
            {upload.name}
          </Text>
          {upload.error !== undefined ? (
            <Problem error={upload.error} title={`${upload.name} was not uploaded`} />
          ) : (
            <>
              <Progress value={upload.sent * 100} flex={1} aria-label={`${upload.name} is uploaded`} />
              <Text size="sm">{upload.sent < 1 ? `${Math.round(upload.sent * 100)} %` : 'Uploaded'}</Text>
            </>
          )}
        </Group>
      ))}
    </>
  )
}

function Imports({ task }: { task: TaskManifest }) {
  const { model } = useShop()
  const view = model.importsOf(task)
  const started = fieldsOf(view?.schema ?? {}).find((field) => isTime(field.schema))?.name ?? ''
  const sort = view?.sorts.includes(started) ? `-${started}` : undefined
  const { data, error } = useRows(view, { sort, limit: 100 }, 2000)
  if (error) return <Problem error={error} />
  if (!data || !view) return null
  if (data.items.length === 0) return <Empty title="Nothing imported yet.">Drop a CSV file above, or several at once.</Empty>
  const newest = [...data.items].sort((a, b) => String(b[started] ?? '').localeCompare(String(a[started] ?? '')))
  return (
    <Stack gap="sm">
      {newest.map((row) => (
        <Import key={row.id} view={view} row={row} task={task} started={started} />
      ))}
      {data.next && (
        <Text size="sm">
          There are {sort ? 'older ones' : 'more, of any time'}: <Anchor href={href([splitName(view.name).plugin, splitName(view.name).name], { sort })}>all of them</Anchor>.
        </Text>
      )}
    </Stack>
  )
}

interface ImportProps {
  view: ReadModelManifest
  row: Row
  task: TaskManifest
  /** The field that says since when. */
  started: string
}

function Import({ view, row, task, started }: ImportProps) {
  const [open, { toggle }] = useDisclosure()
  const report = task.report && row.report !== undefined ? pathOf(task.report, row.id) : undefined
  const shown = fieldsOf(view.schema).filter(({ name }) => row[name] !== undefined && !progressFields.includes(name))
  const counts = shown.filter(({ schema }) => isNumeric(schema))
  const texts = shown.filter(({ schema }) => typeOf(schema) === 'string' && !isTime(schema))
  return (
    <Paper withBorder p="sm" component="article" aria-label={row.id}>
      <Group justify="space-between">
        <Group gap="xs">
          <Text fw={600}>{row.id}</Text>
          {typeof row.status === 'string' && <Status value={row.status} />}
          {typeof row[started] === 'string' && (
            <Text size="xs" c="dimmed" component="div">
              <Time value={row[started]} />
            </Text>
          )}
        </Group>
        {report && (
          <Button size="xs" variant="default" onClick={toggle} aria-expanded={open}>
            {open ? 'Hide' : 'Show'} rejected rows
          </Button>
        )}
      </Group>
      {isRunning(row) && <Progress my="xs" value={importProgress(row)} aria-label={`${row.id} is imported`} />}
      <Group gap="lg" my="xs" style={{ rowGap: 0 }}>
        {counts.map(({ name, title, schema }) => (
          <Text key={name} size="sm" title={schema.description}>
            {title} <b>{String(row[name])}</b>
          </Text>
        ))}
      </Group>
      {texts.map(({ name, title, schema }) => (
        <Text key={name} size="sm">
          {title}: <Value owner={view.name} field={name} schema={schema} value={row[name]} row={row} />
        </Text>
      ))}
      {row.status === 'rejected' && <Text size="sm">Mend the file and drop it again.</Text>}
      {open && report && <Report path={report} name={row.id} />}
    </Paper>
  )
}
