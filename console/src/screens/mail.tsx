import { Anchor, Card, Paper, SimpleGrid, Skeleton, Stack, Table, Text, Title } from '@mantine/core'
import type { Email } from '../api/types'
import { useEmail, useEmails } from '../state/queries'
import { href, useRoute } from '../state/router'
import { Empty } from '../ui/empty'
import { Screen } from '../ui/page'
import { Paging } from '../ui/paging'
import { Problem } from '../ui/problem'
import { Time } from '../ui/value'
import { Wide } from '../ui/wide'

/** The e-mails that were sent, as a mail reader shows them. */
export default function MailScreen({ id }: { id?: string }) {
  const cursor = useRoute().query.get('cursor') ?? undefined
  const { data, error } = useEmails(cursor)
  const items = data?.items ?? []
  return (
    <Screen title="Mail" about="The e-mails that this shop sent. On this machine they go into a folder, and to nobody.">
      {error && <Problem error={error} />}
      {!data && !error && <Skeleton h={240} />}
      {data && items.length === 0 && <Empty title="No e-mail was sent yet.">Place an order: its confirmation shows up here.</Empty>}
      {items.length > 0 && (
        <SimpleGrid cols={{ base: 1, md: 2 }}>
          <Stack gap="xs">
            <Paper withBorder component="nav" aria-label="E-mails">
              <Wide minWidth={420} label="E-mails">
                <Table fz="sm">
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th scope="col">Subject</Table.Th>
                      <Table.Th scope="col">To</Table.Th>
                      <Table.Th scope="col">Sent</Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {items.map((email) => (
                      <Line key={email.id} email={email} chosen={email.id === (id ?? items[0]?.id)} />
                    ))}
                  </Table.Tbody>
                </Table>
              </Wide>
            </Paper>
            <Paging next={data?.next} cursor={cursor} />
          </Stack>
          <Message id={id ?? items[0]?.id} />
        </SimpleGrid>
      )}
    </Screen>
  )
}

/** An address without the brackets that a header has it in. */
const plain = (address: string): string => address.replace(/^<(.*)>$/, '$1')

function Line({ email, chosen }: { email: Email; chosen: boolean }) {
  const { query } = useRoute()
  return (
    <Table.Tr bg={chosen ? 'var(--mantine-color-default-hover)' : undefined}>
      <Table.Td>
        <Anchor href={href(['mail', email.id], Object.fromEntries(query))} c="inherit" fw={chosen ? 600 : undefined} aria-current={chosen || undefined}>
          {email.subject || 'No subject'}
        </Anchor>
      </Table.Td>
      <Table.Td>{plain(email.to)}</Table.Td>
      <Table.Td>
        <Time value={email.time} />
      </Table.Td>
    </Table.Tr>
  )
}

function Message({ id }: { id?: string }) {
  const { data, error } = useEmail(id)
  if (error) return <Problem error={error} />
  if (!data) return <Skeleton h={240} />
  return (
    <Card withBorder component="article" aria-label="Message">
      <Title order={2} mb="xs">
        {data.subject || 'No subject'}
      </Title>
      <Table fz="sm" w="auto" highlightOnHover={false} withRowBorders={false} verticalSpacing={2} mb="sm">
        <Table.Tbody>
          <Head name="From">{plain(data.from)}</Head>
          <Head name="To">{plain(data.to)}</Head>
          <Head name="Sent">
            <Time value={data.time} />
          </Head>
        </Table.Tbody>
      </Table>
      <Text size="sm" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
        {data.text}
      </Text>
    </Card>
  )
}

function Head({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <Table.Tr>
      <Table.Th scope="row" fw={400} c="dimmed" pl={0}>
        {name}
      </Table.Th>
      <Table.Td>{children}</Table.Td>
    </Table.Tr>
  )
}
