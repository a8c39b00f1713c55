import type { ReadModelManifest, Row } from '../api/types'
import { nameOf } from '../model/manifest'

export interface Option {
  value: string
  label: string
}

/** Rows to choose from, by their names. */
export function optionsOf(view: ReadModelManifest, rows: Row[]): Option[] {
  return rows.map((row) => {
    const name = nameOf(view, row)
    return { value: row.id, label: name === row.id ? name : `${name} (${row.id})` }
  })
}
