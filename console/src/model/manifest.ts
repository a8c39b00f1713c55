import type { Access, AggregateManifest, CommandManifest, Manifest, PluginManifest, ReadModelManifest, Row, TaskManifest, Who } from '../api/types'
import type { Schema } from './schema'

/** `Zoo.Animal` is the plugin Zoo's Animal. */
export function splitName(full: string): { plugin: string; name: string } {
  const dot = full.indexOf('.')
  return { plugin: full.slice(0, dot), name: full.slice(dot + 1) }
}

export const shortName = (full: string): string => splitName(full).name

/** `Zoo.Animal#lion` is the stream of the Animal lion. */
export function splitStream(stream: string): { aggregate: string; id: string } | undefined {
  const hash = stream.indexOf('#')
  return hash < 1 ? undefined : { aggregate: stream.slice(0, hash), id: stream.slice(hash + 1) }
}

/** `mapping:Zoo.Feed` is the mapping Feed. */
export function splitConsumer(consumer: string): { kind: string; name: string } {
  const colon = consumer.indexOf(':')
  return { kind: consumer.slice(0, colon), name: consumer.slice(colon + 1) }
}

/** What the manifest says, and what follows from it. */
export class Model {
  readonly plugins: PluginManifest[]
  readonly views: ReadModelManifest[]
  readonly aggregates: AggregateManifest[]
  readonly tasks: TaskManifest[]
  private readonly viewByName: Map<string, ReadModelManifest>
  private readonly aggregateByName: Map<string, AggregateManifest>

  constructor(readonly manifest: Manifest) {
    this.plugins = manifest.plugins
    this.views = this.plugins.flatMap((p) => p.readModels)
    this.aggregates = this.plugins.flatMap((p) => p.aggregates)
    this.tasks = this.plugins.flatMap((p) => p.tasks)
    this.viewByName = new Map(this.views.map((v) => [v.name, v]))
    this.aggregateByName = new Map(this.aggregates.map((a) => [a.name, a]))
  }

  view(name: string): ReadModelManifest | undefined {
    return this.viewByName.get(name)
  }

  aggregate(name: string): AggregateManifest | undefined {
    return this.aggregateByName.get(name)
  }

  /** The aggregate whose commands act on a view's rows. */
  aggregateOf(view: ReadModelManifest): AggregateManifest | undefined {
    return view.aggregate === undefined ? undefined : this.aggregate(view.aggregate)
  }

  viewsOf(aggregate: string): ReadModelManifest[] {
    return this.views.filter((v) => v.sources.includes(aggregate))
  }

  /** The view whose rows stand for an aggregate, where it has one. */
  mainView(aggregate: string): ReadModelManifest | undefined {
    const views = this.views.filter((v) => v.kind === 'rows' && v.aggregate === aggregate)
    return views.find((v) => v.sources.length === 1) ?? views[0]
  }

  /** The view that a field's ids point into. */
  refOf(schema: Schema | undefined): ReadModelManifest | undefined {
    return schema?.['x-ref'] === undefined ? undefined : this.view(schema['x-ref'])
  }

  /** Views that can be filtered by a reference to rows of the given view. */
  referrers(target: ReadModelManifest): { view: ReadModelManifest; field: string }[] {
    return this.views.flatMap((view) =>
      view.indexes
        .filter((field) => this.refOf(view.schema.properties?.[field])?.name === target.name)
        .map((field) => ({ view, field })),
    )
  }

  /** The view that says what became of a task's files. */
  importsOf(task: TaskManifest): ReadModelManifest | undefined {
    return task.view === undefined ? undefined : this.view(task.view)
  }
}

/** Commands that may be sent to an id that does not exist yet. */
export const creators = (aggregate: AggregateManifest): CommandManifest[] => aggregate.commands.filter((command) => command.creates)

/** A row's name, where its view declares one, else its id. */
export const nameOf = (view: ReadModelManifest, row: Row): string => String((view.label && row[view.label]) || row.id)

/** Whether to offer something; an owner is only known to the server. */
export function mayUse(access: Access, who: Who | undefined): boolean {
  if (!who || access.owner || access.groups.length === 0) return true
  return access.groups.some((group) => who.groups.includes(group))
}

export const isAdmin = (who: Who | undefined): boolean => !who || who.groups.includes('Admin')
