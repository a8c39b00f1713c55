import type { ErrorSchema } from '@rjsf/utils'
import type { Problem } from '../api/problem'

/** A problem's errors at the fields that their pointers name. */
export function errorsAt(problem: Problem): ErrorSchema {
  const root: Record<string, unknown> = {}
  for (const { pointer, detail } of problem.errors ?? []) {
    let node = root
    for (const part of pointer.split('/').slice(1)) {
      const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
      node = (node[name] ??= {}) as Record<string, unknown>
    }
    node.__errors = [...((node.__errors as string[] | undefined) ?? []), detail]
  }
  return root as ErrorSchema
}
