import { expect, test } from 'vitest'
import type { TraceBranch } from '../api/types'
import { isQuiet, outcomeOf } from './trace'

const done = { follower: 'readmodel:A.B', state: 'done' } as const

test('a trace is quiet once no branch is on its way', () => {
  expect(isQuiet([done, { follower: 'mapping:A.C', state: 'due' }])).toBe(true)
  expect(isQuiet([{ ...done, then: [{ follower: 'readmodel:A.B', state: 'pending' }] }])).toBe(false)
})

test('a trace is done where all of it is; else it says what is not', () => {
  const due: TraceBranch = { ...done, then: [{ follower: 'mapping:A.C', state: 'due' }] }
  expect(outcomeOf([done, { ...done, state: 'none' }])).toBe('done')
  expect(outcomeOf([done, due])).toBe('due')
  expect(outcomeOf([due, { ...done, state: 'rejected' }])).toBe('rejected')
  expect(outcomeOf([{ ...done, state: 'pending' }, { ...done, state: 'parked' }])).toBe('parked')
})
