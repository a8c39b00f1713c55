import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useCallback, useMemo, useState, type ReactNode } from 'react'
import type { Who } from './api/types'
import { readActAs, writeActAs, type ActAs } from './state/actas'
import { Bundles } from './state/bundles'
import { ShopContext, type Shop } from './state/shop'
import type { Started } from './state/start'

export function ShopProvider({ started, children }: { started: Started; children: ReactNode }) {
  const { client, model } = started
  const queries = useQueryClient()
  const [actAs, putActAs] = useState<ActAs | undefined>(readActAs)
  const who = useQuery({
    queryKey: ['whoami'],
    queryFn: () => client.get<Who>('/whoami'),
    initialData: started.who,
    staleTime: Infinity,
    enabled: started.who !== undefined,
  }).data

  const setActAs = useCallback(
    (value: ActAs | undefined) => {
      writeActAs(value)
      putActAs(value)
      // What somebody else saw is not shown for a moment either.
      void queries.resetQueries({ predicate: (query) => query.queryKey[0] !== 'start' })
    },
    [queries],
  )

  // Bundles come after the first page, in a chunk of their own.
  const bundles =
    useQuery({
      queryKey: ['start', 'bundles'],
      queryFn: async () => (await import('./bundlehost')).hostBundles(started, queries),
      enabled: model.plugins.some((p) => p.uiBundleUrl),
      staleTime: 'static',
    }).data ?? none

  const shop = useMemo<Shop>(() => ({ ...started, who, actAs, setActAs, bundles }), [started, who, actAs, setActAs, bundles])
  return <ShopContext value={shop}>{children}</ShopContext>
}

const none = new Bundles()
