import type { BranchState, TraceBranch } from '../api/types'

/** True once nothing that was set off is still on its way. */
export function isQuiet(branches: TraceBranch[]): boolean {
  return branches.every((branch) => branch.state !== 'pending' && isQuiet(branch.then ?? []))
}

const telling: BranchState[] = ['parked', 'pending', 'rejected', 'due']

/** What there is to know first about all that was set off. */
export function outcomeOf(branches: TraceBranch[]): BranchState {
  const states = branches.flatMap((branch) => [branch.state, outcomeOf(branch.then ?? [])])
  return telling.find((state) => states.includes(state)) ?? 'done'
}
