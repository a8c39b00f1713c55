import { Button, Group, Skeleton, Table, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { parseCsv } from '../model/csv'
import { humanize } from '../model/schema'
import { useShop } from '../state/shop'
import { IconDownload } from '../ui/icons'
import { Problem } from '../ui/problem'
import { save } from '../ui/save'
import { Wide } from '../ui/wide'

const most = 200

/** An import's rejected rows, as a table and as a file. */
export function Report({ path, name }: { path: string; name: string }) {
  const { client } = useShop()
  const { data, error } = useQuery({ queryKey: ['report', path], queryFn: ({ signal }) => client.getText(path, signal) })
  if (error) return <Problem error={error} title="There is no report" />
  if (data === undefined) return <Skeleton h={80} />
  const [header = [], ...rows] = parseCsv(data)
  return (
    <>
      <Wide minWidth={420} label="Rejected rows">
        <Table fz="sm">
          <Table.Thead>
            <Table.Tr>
              {header.map((title) => (
                <Table.Th key={title} scope="col">
                  {humanize(title)}
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.slice(0, most).map((row, i) => (
              <Table.Tr key={i}>
                {row.map((value, j) => (
                  <Table.Td key={j}>{value}</Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Wide>
      <Text size="sm">Mend these rows in the file and drop it again: what was added stays as it is.</Text>
      <Group justify="space-between">
        <Text size="sm" c="dimmed">
          {rows.length > most ? `The first ${most} of ${rows.length} rows.` : `${rows.length} ${rows.length === 1 ? 'row' : 'rows'}.`}
        </Text>
        <Button size="xs" variant="default" leftSection={<IconDownload />} onClick={() => save(`report-of-${name}`, data, 'text/csv')}>
          Save the report
        </Button>
      </Group>
    </>
  )
}
