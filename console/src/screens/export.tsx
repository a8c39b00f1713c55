import { Button } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { useState } from 'react'
import { inWords } from '../api/problem'
import { pathOf } from '../api/client'
import type { Page, ReadModelManifest, Row } from '../api/types'
import { toCsv } from '../model/csv'
import { shortName } from '../model/manifest'
import { mostItems } from '../state/queries'
import { useShop } from '../state/shop'
import { save } from '../ui/save'
import { IconDownload } from '../ui/icons'

/** Everything that is filtered, over all pages, as a CSV file. */
export function ExportCsv({ view, filter }: { view: ReadModelManifest; filter: Record<string, string> }) {
  const { client } = useShop()
  const [count, setCount] = useState<number>()
  const run = async () => {
    const rows: Row[] = []
    try {
      let cursor: string | undefined
      do {
        setCount(rows.length)
        const page: Page<Row> = await client.get(pathOf(view.path, undefined, { ...filter, limit: mostItems, cursor }))
        rows.push(...page.items)
        cursor = page.next
      } while (cursor)
      save(`${shortName(view.name)}.csv`, toCsv(['id', ...(view.items ? ['subId'] : []), ...Object.keys(view.schema.properties ?? {})], rows), 'text/csv')
    } catch (error) {
      notifications.show({ color: 'red', title: 'Not exported', message: inWords(error) })
    } finally {
      setCount(undefined)
    }
  }
  return (
    <Button variant="default" size="xs" leftSection={<IconDownload />} onClick={() => void run()} disabled={count !== undefined}>
      {count === undefined ? 'Export CSV' : `${count} rows …`}
    </Button>
  )
}
