import type { Schema } from '../model/schema'
import type { components, operations } from './openapi'

// What the API says of its answers is generated (openapi.ts); these are their names here. Rows,
// states and events are the plugins' own, so nobody knows more of them than their schemas say.
type Schemas = components['schemas']

type Answer<Operation extends keyof operations> = operations[Operation] extends { responses: { 200: { content: { 'application/json': infer Body } } } } ? Body : never

/** With JSON Schemas as this page reads them. */
type Read<T> = T extends (infer Item)[] ? Read<Item>[] : T extends object ? { [Key in keyof T]: Key extends 'schema' ? Schema : Read<T[Key]> } : T

export type Manifest = Read<Schemas['Manifest']>
export type PluginManifest = Manifest['plugins'][number]
export type AggregateManifest = PluginManifest['aggregates'][number]
export type CommandManifest = AggregateManifest['commands'][number]
export type EventManifest = AggregateManifest['events'][number]
export type ReadModelManifest = PluginManifest['readModels'][number]
export type TaskManifest = PluginManifest['tasks'][number]
export type Access = CommandManifest['access']

export interface Page<T> {
  items: T[]
  next?: string
}

export type Row = { id: string; subId?: string } & Record<string, unknown>

export interface Commit {
  version: number
  type: string
  data?: unknown
  time: string
  user: string
  messageId: string
  correlationId: string
  causationId?: string
  /** Members that the data lacks, since their subject was erased. */
  erased?: string[]
}

export type Accepted = Schemas['Outcome']
export type Preview = Schemas['Preview']
export type Progress = Schemas['Progress']
export type StateAt = Schemas['State']
export type UploadTarget = Schemas['Upload']
export type Who = Answer<'whoami'>
export type ConsoleConfig = Answer<'console-config'>

export type Trace = Omit<Schemas['Trace'], 'then'> & { then: TraceBranch[] }
export type TraceEvent = Schemas['Trace']['event']
export type TraceBranch = Omit<Schemas['TraceBranch'], 'state' | 'then'> & { state: BranchState; then?: TraceBranch[] }

export type BranchState = Schemas['TraceBranch']['state']

export type Parked = Schemas['Parked'] & { next?: string }
export type Health = Omit<Schemas['Health'], 'plugins'> & { plugins: PluginHealth[] }
export type PluginHealth = Omit<Schemas['Health']['plugins'][number], 'consumers'> & { consumers: Consumer[] }
export type Consumer = Schemas['Health']['plugins'][number]['consumers'][number]

export type Rejection = Schemas['Rejection']
export type Schedule = Schemas['Schedule']
export type Email = Schemas['Email']
