import type { TraceBranch } from '../api/types'

/** True once nothing that was set off is still on its way. */
export function isQuiet(branches: TraceBranch[]): boolean {
  return branches.every((branch) => branch.state !== 'pending' && isQuiet(branch.then ?? []))
}
