import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query'
import { isNotFound } from '../api/problem'
import { pathOf } from '../api/client'
import type { AggregateManifest, Commit, Email, Health, Page, Parked, ReadModelManifest, Rejection, Row, Schedule, StateAt } from '../api/types'
import { writes } from './writes'
import { useShop } from './shop'

/** Visible pages are live; hidden tabs rest. */
export const live = 3000
const calm = 15000

export const pageSize = 50
export const mostItems = 200
/** How many events of a history are shown at once. */
export const historyPage = 200

export function useHealth() {
  const { client } = useShop()
  return useQuery({ queryKey: ['health'], queryFn: ({ signal }) => client.get<Health>('/health', signal), refetchInterval: live })
}

export function useRows(view: ReadModelManifest | undefined, parameters: Record<string, string | number | undefined>, interval: number | false = live) {
  const { client } = useShop()
  return useQuery({
    queryKey: ['rows', view?.name, parameters],
    queryFn: ({ signal }) => client.get<Page<Row>>(pathOf(view?.path ?? '', undefined, parameters), signal),
    enabled: view !== undefined,
    refetchInterval: interval,
    placeholderData: keepPreviousData,
  })
}

/** The rows below an id, of a view that has such; never older than what this page wrote. */
export function useItems(view: ReadModelManifest, id: string, parameters: { limit: number; cursor?: string }) {
  const { client } = useShop()
  return useQuery({
    queryKey: ['items', view.name, id, parameters],
    queryFn: ({ signal }) => client.get<Page<Row>>(pathOf(view.items ?? '', id, { ...parameters, minVersion: writes.version(`${view.aggregate}#${id}`) }), signal),
    refetchInterval: live,
    placeholderData: keepPreviousData,
  })
}

/** As many of a view's rows as fit on one page, for pickers and charts. */
export const useSample = (view: ReadModelManifest | undefined) => useRows(view, { limit: mostItems }, calm)

/** One row, or null where there is none; never older than what this page wrote. */
export function useRow(view: ReadModelManifest, id: string | undefined) {
  const { client } = useShop()
  const stream = `${view.aggregate}#${id}`
  return useQuery({
    queryKey: ['row', view.name, id],
    queryFn: async ({ signal }) => {
      try {
        return await client.get<Row>(pathOf(`${view.path}/{id}`, id ?? '', { minVersion: writes.version(stream) }), signal)
      } catch (error) {
        if (isNotFound(error)) return null
        throw error
      }
    },
    enabled: id !== undefined,
    refetchInterval: live,
  })
}

/** The events of a page of a history, from a version on; last is the history's latest version, where that is known. */
export function useHistory(aggregate: AggregateManifest, id: string, from: number, last: number | undefined) {
  const { client } = useShop()
  return useQuery({
    queryKey: ['history', aggregate.name, id, from, last],
    queryFn: async ({ signal }) => {
      const commits: Commit[] = []
      let next: Partial<Record<'from' | 'cursor', string | number>> | undefined = { from }
      while (next && commits.length < historyPage) {
        const page: Page<Commit> = await client.get(pathOf(`${aggregate.path}/events`, id, { limit: historyPage - commits.length, ...next }), signal)
        commits.push(...page.items)
        next = page.next ? { cursor: page.next } : undefined
      }
      return { commits, more: next !== undefined }
    },
    // What happened does not change: only a newer version asks again.
    refetchInterval: last === undefined ? live : false,
    placeholderData: keepPreviousData,
  })
}

export function useStateAt(aggregate: AggregateManifest, id: string, version: number | undefined, interval: number | false = false) {
  const { client } = useShop()
  return useQuery({
    queryKey: ['state', aggregate.name, id, version ?? 'now'],
    queryFn: ({ signal }) => client.get<StateAt>(pathOf(aggregate.path, id, { version }), signal),
    enabled: version !== 0,
    refetchInterval: interval,
    placeholderData: keepPreviousData,
  })
}

export function useParked() {
  const { client } = useShop()
  return useQuery({
    queryKey: ['parked'],
    queryFn: async ({ signal }) => {
      const items: Parked[] = []
      let cursor: string | undefined
      do {
        const page: Page<Parked> = await client.get(pathOf('/operations/parked', undefined, { cursor }), signal)
        items.push(...page.items)
        cursor = page.next
      } while (cursor && items.length < 1000)
      return { items, more: cursor !== undefined }
    },
    refetchInterval: live,
  })
}

/** What was parked when it was asked for last. */
export function useFreshParked(): () => Parked[] {
  const queries = useQueryClient()
  return () => queries.getQueryData<{ items: Parked[] }>(['parked'])?.items ?? []
}

export function useRejections(parameters: { follower?: string; cursor?: string } = {}) {
  const { client } = useShop()
  return useQuery({
    queryKey: ['rejections', parameters],
    queryFn: ({ signal }) => client.get<Page<Rejection>>(pathOf('/operations/rejections', undefined, parameters), signal),
    refetchInterval: live,
  })
}

export function useSchedules() {
  const { client } = useShop()
  return useQuery({ queryKey: ['schedules'], queryFn: ({ signal }) => client.get<Page<Schedule>>('/operations/schedules', signal), refetchInterval: live })
}

export function useEmails(cursor: string | undefined) {
  const { client } = useShop()
  return useQuery({
    queryKey: ['emails', cursor],
    queryFn: ({ signal }) => client.get<Page<Email>>(pathOf('/operations/emails', undefined, { limit: pageSize, cursor }), signal),
    refetchInterval: live,
    placeholderData: keepPreviousData,
  })
}

export function useEmail(id: string | undefined) {
  const { client } = useShop()
  return useQuery({
    queryKey: ['email', id],
    queryFn: ({ signal }) => client.get<Email>(pathOf('/operations/emails/{id}', id), signal),
    enabled: id !== undefined,
  })
}

/** After something was done, everything that is shown is asked for again. */
export function useRefresh(): () => Promise<void> {
  const queries = useQueryClient()
  // A form that was just sent would be told that it can't be sent again.
  return () => queries.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'dryrun' })
}
