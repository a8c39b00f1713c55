import { Table } from '@mantine/core'
import type { ReactNode } from 'react'

/** Room for a table that may be wider than the page; scrolled by keyboard, too. */
export function Wide({ minWidth, label, children }: { minWidth: number; label: string; children: ReactNode }) {
  return (
    <Table.ScrollContainer type="native" minWidth={minWidth} tabIndex={0} role="region" aria-label={label}>
      {children}
    </Table.ScrollContainer>
  )
}
