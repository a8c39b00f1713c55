import type { ReadModelManifest, Row } from '../api/types'
import { nameOf } from './manifest'
import { fieldsOf, typeOf } from './schema'

export interface Bar {
  label: string
  id?: string
  count: number
}

export interface Insight {
  title: string
  field: string
  bars: Bar[]
}

const most = 6

/** What a view's rows tell at a glance: how many of each status, or the top of its only count. */
export function insightOf(view: ReadModelManifest, rows: Row[]): Insight | undefined {
  if (rows.length === 0) return undefined
  const fields = fieldsOf(view.schema)
  const status = fields.find((field) => field.schema.enum)
  if (status) {
    const counts = new Map<string, number>(status.schema.enum!.map((value) => [String(value), 0]))
    for (const row of rows) counts.set(String(row[status.name]), (counts.get(String(row[status.name])) ?? 0) + 1)
    return { title: `By ${status.title.toLowerCase()}`, field: status.name, bars: [...counts].map(([label, count]) => ({ label, count })) }
  }
  const counts = fields.filter((field) => typeOf(field.schema) === 'integer')
  const [count] = counts
  if (!count || counts.length > 1) return undefined
  const bars = rows
    .map((row) => ({ id: row.id, label: nameOf(view, row), count: Number(row[count.name] ?? 0) }))
    .sort((a, b) => b.count - a.count)
    .slice(0, most)
  return { title: `Top by ${count.title.toLowerCase()}`, field: count.name, bars }
}
