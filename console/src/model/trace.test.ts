import { expect, test } from 'vitest'
import { isQuiet } from './trace'

test('a trace is quiet once no branch is on its way', () => {
  const done = { follower: 'readmodel:A.B', state: 'done' } as const
  expect(isQuiet([done, { follower: 'mapping:A.C', state: 'due' }])).toBe(true)
  expect(isQuiet([{ ...done, then: [{ follower: 'readmodel:A.B', state: 'pending' }] }])).toBe(false)
})
