import { expect, test } from 'vitest'
import { graphOf } from './graph'
import { layout } from './layout'

test('followers stand between what they follow and what they act on', () => {
  const { nodes, edges } = graphOf({
    version: '1',
    plugins: [
      {
        name: 'Zoo', heartbeatIntervalSeconds: 1, extensionPoints: [], asks: [],
        extensions: [{ name: 'Zoo.X', point: 'Gone.P', target: 'Zoo.Animal' }],
        aggregates: [{ name: 'Zoo.Animal', path: '', internal: false, commands: [], events: [] }],
        readModels: [], mappings: [{ name: 'Zoo.Feed', source: 'Zoo.Animal', target: 'Zoo.Animal', delaySeconds: 0 }],
        sideEffects: [], tasks: [],
      },
    ],
  })
  expect(nodes.map((n) => n.id)).toEqual(['aggregate:Zoo.Animal', 'mapping:Zoo.Feed', 'extension:Zoo.X'])
  expect(edges.map(({ from, to }) => `${from} ${to}`)).toEqual([
    'aggregate:Zoo.Animal mapping:Zoo.Feed',
    'mapping:Zoo.Feed aggregate:Zoo.Animal',
    'extension:Zoo.X aggregate:Zoo.Animal',
  ])
})

test('what is asked of a point stands between who asks and who accepts it', () => {
  const none = { heartbeatIntervalSeconds: 1, readModels: [], mappings: [], extensionPoints: [], asks: [], extensions: [], sideEffects: [], tasks: [] }
  const aggregate = (name: string) => [{ name, path: '', internal: true, commands: [], events: [] }]
  const { edges } = graphOf({
    version: '1',
    plugins: [
      { ...none, name: 'Zoo', aggregates: aggregate('Zoo.Animal'), extensions: [{ name: 'Zoo.Visits', point: 'Zoo.Gate', target: 'Zoo.Animal', accepts: true }] },
      {
        ...none, name: 'Town', aggregates: aggregate('Town.School'),
        asks: [{ name: 'Town.Zoo.Gate', source: 'Town.School', sources: ['Town.School'], events: [] }],
      },
    ],
  })
  expect(edges.map(({ from, to }) => `${from} ${to}`)).toEqual([
    'point:Town.Zoo.Gate extension:Zoo.Visits',
    'extension:Zoo.Visits aggregate:Zoo.Animal',
    'aggregate:Town.School point:Town.Zoo.Gate',
  ])
})

test('what is sent where a command is refused has an edge of its own, and what waits says how long', () => {
  const none = { heartbeatIntervalSeconds: 1, readModels: [], extensionPoints: [], asks: [], sideEffects: [], tasks: [] }
  const aggregate = (name: string) => ({ name, path: '', internal: true, commands: [], events: [] })
  const mapping = { source: 'Zoo.Animal', target: 'Zoo.Animal' }
  const { nodes, edges } = graphOf({
    version: '1',
    plugins: [
      {
        ...none, name: 'Zoo', aggregates: [aggregate('Zoo.Animal'), aggregate('Zoo.Diary')],
        extensions: [{ name: 'Zoo.X', point: 'Gone.P', target: 'Zoo.Animal', onRejected: 'Zoo.Animal' }],
        mappings: [
          { ...mapping, name: 'Zoo.Feed', delaySeconds: 0, onRejected: 'Zoo.Diary' },
          { ...mapping, name: 'Zoo.Wake', delaySeconds: 864000 },
          { ...mapping, name: 'Zoo.Free', delaySeconds: 0, due: true },
        ],
      },
    ],
  })
  expect(edges.filter((e) => e.refused).map(({ from, to }) => `${from} ${to}`)).toEqual([
    'mapping:Zoo.Feed aggregate:Zoo.Diary',
    'extension:Zoo.X aggregate:Zoo.Animal',
  ])
  expect(nodes.map((n) => n.waits)).toEqual([undefined, undefined, undefined, 'after 10 days', 'when it is due', undefined])
})

test('a side effect may hear of what another plugin publishes', () => {
  const none = { heartbeatIntervalSeconds: 1, readModels: [], mappings: [], asks: [], extensions: [] }
  const { edges } = graphOf({
    version: '1',
    plugins: [
      {
        ...none, name: 'Zoo', sideEffects: [], tasks: [],
        aggregates: [{ name: 'Zoo.Animal', path: '', internal: true, commands: [], events: [] }],
        extensionPoints: [{ name: 'Zoo.Births', source: 'Zoo.Animal', sources: ['Zoo.Animal'], events: [] }],
      },
      { ...none, name: 'Press', aggregates: [], extensionPoints: [], sideEffects: [{ name: 'Press.Print', point: 'Zoo.Births', task: 'Press.Papers' }], tasks: [{ name: 'Press.Papers' }] },
    ],
  })
  expect(edges.map(({ from, to }) => `${from} ${to}`)).toEqual([
    'aggregate:Zoo.Animal point:Zoo.Births',
    'point:Zoo.Births effect:Press.Print',
    'effect:Press.Print task:Press.Papers',
  ])
})

test('a task stands between what it reads and what it sends commands to', () => {
  const none = { heartbeatIntervalSeconds: 1, mappings: [], extensionPoints: [], asks: [], extensions: [] }
  const aggregate = (name: string) => ({ name, path: '', internal: true, commands: [], events: [] })
  const view = { name: 'Zoo.Animals', kind: 'rows' as const, path: '', sources: ['Zoo.Animal'], indexes: [], sorts: [], searches: [], access: { groups: [], owner: false }, schema: {} }
  const { edges } = graphOf({
    version: '1',
    plugins: [
      {
        ...none, name: 'Zoo', aggregates: [aggregate('Zoo.Animal'), aggregate('Zoo.Meal')], readModels: [view],
        tasks: [{ name: 'Zoo.Feeding', sends: ['Zoo.Meal'], reads: ['Zoo.Animals', 'Zoo.Animal'] }, { name: 'Zoo.Anything' }],
        sideEffects: [{ name: 'Zoo.Ring', source: 'Zoo.Meal', task: 'Zoo.Feeding', reads: ['Zoo.Animals'] }],
      },
    ],
  })
  expect(edges.filter((e) => !e.read).map(({ from, to }) => `${from} ${to}`)).toEqual([
    'aggregate:Zoo.Animal view:Zoo.Animals',
    'task:Zoo.Feeding aggregate:Zoo.Meal',
    'aggregate:Zoo.Meal effect:Zoo.Ring',
    'effect:Zoo.Ring task:Zoo.Feeding',
  ])
  expect(edges.filter((e) => e.read).map(({ from, to }) => `${from} ${to}`)).toEqual([
    'view:Zoo.Animals task:Zoo.Feeding',
    'aggregate:Zoo.Animal task:Zoo.Feeding',
    'view:Zoo.Animals effect:Zoo.Ring',
  ])
})

test('a part is drawn as far left as what it follows lets it, so that the picture stays narrow', async () => {
  const node = (id: string) => ({ id, kind: 'aggregate' as const, plugin: 'Zoo', name: id })
  const edge = (from: string, to: string) => ({ from, to })
  const places = await layout({
    nodes: ['first', 'second', 'third', 'last', 'other', 'its'].map(node),
    edges: [edge('first', 'second'), edge('second', 'third'), edge('third', 'last'), edge('other', 'last'), edge('other', 'its')],
  })
  const column = (id: string) => places.get(id)?.x
  expect(column('other')).toBe(column('first'))
  expect(column('its')).toBe(column('second'))
})
