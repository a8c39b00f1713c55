import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { pathOf } from '../api/client'
import { ApiError, sentence } from '../api/problem'
import type { CommandManifest } from '../api/types'
import { fieldsOf } from '../model/schema'
import { useShop } from '../state/shop'
import type { Target } from './commanddialog'

/**
 * Why a command is not worth offering now. The page knows no rules, but a dry run does: of a
 * command without fields it says so before anybody opens its form.
 */
export function useRefusal(command: CommandManifest, target: Target | undefined): string | undefined {
  const { client, who } = useShop()
  const path = pathOf(command.path, target?.id ?? '')
  const { data } = useQuery({
    queryKey: ['dryrun', path, 'refused', target?.version],
    queryFn: async ({ signal }) => {
      try {
        const { events } = await client.dryRun(path, {}, { signal })
        return events.length === 0 ? 'Nothing would change.' : ''
      } catch (error) {
        return isRefusal(error) ? sentence(error.problem.title) : ''
      }
    },
    // A server that knows no dry runs would do what it is asked; it doesn't know who asks, either.
    enabled: who !== undefined && (target?.version !== undefined || (target !== undefined && command.creates)) && fieldsOf(command.schema).length === 0,
    placeholderData: keepPreviousData,
  })
  return data || undefined
}

/** A rule's no, as opposed to what may be otherwise in a moment. */
const isRefusal = (error: unknown): error is ApiError => error instanceof ApiError && [403, 404, 409, 422].includes(error.status)
