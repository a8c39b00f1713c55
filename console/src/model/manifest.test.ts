import { expect, test } from 'vitest'
import type { AggregateManifest, CommandManifest, ReadModelManifest } from '../api/types'
import { creators, mayUse, Model, nameOf, splitStream } from './manifest'
import type { Schema } from './schema'

const anyone = { groups: [], owner: false }

const command = (name: string, more: Partial<CommandManifest> = {}): CommandManifest => ({
  name, path: '', access: anyone, schema: {}, creates: false, changes: true, destructive: false, ...more,
})

const aggregate = (name: string, ...commands: CommandManifest[]): AggregateManifest => ({ name, path: '', internal: false, commands, events: [] })

const view = (name: string, aggregate: string, properties: Record<string, Schema>, more: Partial<ReadModelManifest> = {}): ReadModelManifest => ({
  name, kind: 'rows', path: '', aggregate, sources: [aggregate], indexes: [], sorts: [], searches: [], access: anyone, schema: { type: 'object', properties }, ...more,
})

const nothing = { heartbeatIntervalSeconds: 1, mappings: [], extensionPoints: [], asks: [], extensions: [], sideEffects: [], tasks: [] }

const model = new Model({
  version: '1',
  plugins: [
    {
      ...nothing,
      name: 'Zoo',
      aggregates: [aggregate('Zoo.Animal', command('Hatch', { creates: true }), command('Feed')), aggregate('Zoo.Keeper')],
      readModels: [
        view('Zoo.Animals', 'Zoo.Animal', { title: { type: 'string' }, keeperId: { type: 'string', 'x-ref': 'Zoo.Staff' } }, { indexes: ['keeperId', 'title'] }),
        view('Zoo.Staff', 'Zoo.Keeper', { badge: { type: 'string' } }, { label: 'badge' }),
        view('Zoo.Bites', 'Zoo.Animal', {}, { kind: 'items', items: '/zoo/bites/{id}/items' }),
        view('Zoo.Meals', 'Zoo.Animal', {}, { sources: ['Zoo.Keeper', 'Zoo.Animal'] }),
      ],
    },
  ],
})

test('a plugin that was never seen gets references, labels and commands as it says', () => {
  const [animals, staff] = [model.view('Zoo.Animals')!, model.view('Zoo.Staff')!]
  expect(model.refOf({ 'x-ref': 'Zoo.Staff' })).toBe(staff)
  expect(model.refOf({ type: 'string' })).toBeUndefined()
  expect(model.referrers(staff)).toEqual([{ view: animals, field: 'keeperId' }])
  expect(model.aggregateOf(model.view('Zoo.Meals')!)?.name).toBe('Zoo.Animal')
  expect(model.mainView('Zoo.Animal')).toBe(animals)
  expect(creators(model.aggregate('Zoo.Animal')!).map((c) => c.name)).toEqual(['Hatch'])
})

test('a row is called by what its view says, else by its id', () => {
  const row = { id: 'k1', badge: '007', title: 'Dr' }
  expect(nameOf(model.view('Zoo.Staff')!, row)).toBe('007')
  expect(nameOf(model.view('Zoo.Staff')!, { id: 'k1' })).toBe('k1')
  expect(nameOf(model.view('Zoo.Animals')!, row)).toBe('k1')
})

test('what the caller may not do is not offered', () => {
  const keeper = { user: 'k', groups: ['Keepers'], actAs: false }
  expect(mayUse({ groups: ['Keepers', 'Admin'], owner: false }, keeper)).toBe(true)
  expect(mayUse({ groups: ['Admin'], owner: false }, keeper)).toBe(false)
  expect(mayUse({ groups: ['Admin'], owner: true }, keeper)).toBe(true)
})

test('streams keep what their ids hold', () => {
  expect(splitStream('Zoo.Animal#a#1/2')).toEqual({ aggregate: 'Zoo.Animal', id: 'a#1/2' })
  expect(splitStream('lion')).toBeUndefined()
})
