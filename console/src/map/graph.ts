import type { Manifest } from '../api/types'
import { duration } from '../model/format'
import { shortName } from '../model/manifest'

export type Kind = 'aggregate' | 'mapping' | 'point' | 'extension' | 'view' | 'effect' | 'task'

export interface Node {
  id: string
  kind: Kind
  plugin: string
  name: string
  /** The consumer whose lag and failures the node's incoming edges show. */
  consumer?: string
  /** How long it waits before it acts. */
  waits?: string
}

export interface Edge {
  from: string
  to: string
  consumer?: string
  /** What is sent where a command was refused. */
  refused?: boolean
  /** What is only looked at: nothing follows from it. */
  read?: boolean
}

export interface Graph {
  nodes: Node[]
  edges: Edge[]
}

const key = (kind: Kind, name: string): string => `${kind}:${name}`

/** The system as nodes and edges, all of it from the manifest. */
export function graphOf(manifest: Manifest): Graph {
  const nodes: Node[] = []
  const edges: Edge[] = []
  for (const plugin of manifest.plugins) {
    const add = (kind: Kind, name: string, consumer?: string, waits?: string) =>
      nodes.push({ id: key(kind, name), kind, plugin: plugin.name, name: shortName(name), consumer, waits })
    const react = (from: string, target?: string) => {
      if (target) edges.push({ from, to: key('aggregate', target), refused: true })
    }
    const reads = (reader: string, names: string[] = []) => {
      const views = new Set(plugin.readModels.map((view) => view.name))
      for (const name of names) edges.push({ from: key(views.has(name) ? 'view' : 'aggregate', name), to: reader, read: true })
    }
    for (const { name } of plugin.aggregates) add('aggregate', name)
    for (const { name, sources } of plugin.readModels) {
      const consumer = `readmodel:${name}`
      add('view', name, consumer)
      for (const source of sources) edges.push({ from: key('aggregate', source), to: key('view', name), consumer })
    }
    for (const { name, source, target, delaySeconds, due, onRejected } of plugin.mappings) {
      const consumer = `mapping:${name}`
      add('mapping', name, consumer, due ? 'when it is due' : delaySeconds > 0 ? `after ${duration(delaySeconds)}` : undefined)
      edges.push({ from: key('aggregate', source), to: key('mapping', name), consumer }, { from: key('mapping', name), to: key('aggregate', target) })
      react(key('mapping', name), onRejected)
    }
    for (const { name, sources } of [...plugin.extensionPoints, ...plugin.asks]) {
      const consumer = `publication:${name}`
      add('point', name, consumer)
      for (const source of sources) edges.push({ from: key('aggregate', source), to: key('point', name), consumer })
    }
    for (const { name, point, target, accepts, onRejected } of plugin.extensions) {
      const consumer = `extension:${name}`
      add('extension', name, consumer)
      const asked = manifest.plugins.flatMap((p) => p.asks).map((ask) => ask.name).filter((ask) => ask.endsWith(`.${point}`))
      for (const from of accepts ? asked : [point]) edges.push({ from: key('point', from), to: key('extension', name), consumer })
      edges.push({ from: key('extension', name), to: key('aggregate', target) })
      react(key('extension', name), onRejected)
    }
    for (const task of plugin.tasks) {
      const { name, sends = [] } = task
      add('task', name, `task:${name}`)
      for (const target of sends) edges.push({ from: key('task', name), to: key('aggregate', target) })
      reads(key('task', name), task.reads)
    }
    for (const { name, source, point, task, reads: read } of plugin.sideEffects) {
      const consumer = `effect:${name}`
      add('effect', name, consumer)
      const from = point ? key('point', point) : key('aggregate', source ?? '')
      edges.push({ from, to: key('effect', name), consumer }, { from: key('effect', name), to: key('task', task) })
      reads(key('effect', name), read)
    }
  }
  const known = new Set(nodes.map((node) => node.id))
  return { nodes, edges: edges.filter(({ from, to }) => known.has(from) && known.has(to)) }
}
