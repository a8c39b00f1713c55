import { Anchor, Badge, Text, Tooltip } from '@mantine/core'
import type { Row } from '../api/types'
import { bytes, money, number, time } from '../model/format'
import { isMoney, isNumeric, isTime, typeOf, type Schema } from '../model/schema'
import { useShop } from '../state/shop'
import { Boundary } from './boundary'
import { RefLink } from './reflink'

interface Props {
  /** The view or aggregate that the field is of. */
  owner: string
  field: string
  schema: Schema
  value: unknown
  row?: Row
}

/** A field's value as its schema says. */
export function Value(props: Props) {
  const { owner, field, value, row } = props
  const Renderer = useShop().bundles.renderer(owner, field)
  if (!Renderer || !row) return <Plain {...props} />
  return (
    <Boundary fallback={<Plain {...props} />}>
      <Renderer value={value} row={row} />
    </Boundary>
  )
}

function Plain({ schema, value }: Props) {
  const { config, model } = useShop()
  if (value === '' && schema['x-personal'])
    return (
      <Text span inherit c="dimmed" fs="italic">
        erased
      </Text>
    )
  if (value === undefined || value === null || value === '') return <Text span inherit c="dimmed" aria-label="none">–</Text>
  const ref = model.refOf(schema)
  if (ref && typeof value === 'string') return <RefLink view={ref} id={value} />
  if (ref && Array.isArray(value)) return <Many values={value.map((id) => <RefLink key={String(id)} view={ref} id={String(id)} />)} />
  if (isTime(schema) && typeof value === 'string') return <Time value={value} />
  if (typeof value === 'number') return <>{numeric(schema, value, config.currency)}</>
  if (typeof value === 'boolean') return <>{value ? 'Yes' : 'No'}</>
  if (schema.enum && typeof value === 'string') return <Status value={value} />
  if (typeOf(schema) === 'string') return <>{String(value)}</>
  return <span className="mono">{JSON.stringify(value)}</span>
}

function numeric(schema: Schema, value: number, currency: string): string {
  if (isMoney(schema)) return money(value, currency)
  if (schema.format === 'bytes') return bytes(value)
  return number(value)
}

export const alignOf = (schema: Schema): 'numeric' | undefined => (isNumeric(schema) ? 'numeric' : undefined)

export function Time({ value }: { value: string }) {
  return (
    <Tooltip label={value}>
      <time dateTime={value} tabIndex={0}>
        {time(value)}
      </time>
    </Tooltip>
  )
}

export function Status({ value }: { value: string }) {
  return (
    <Badge variant="default" tt="none" fw={500}>
      {value}
    </Badge>
  )
}

function Many({ values }: { values: React.ReactNode[] }) {
  return (
    <span>
      {values.map((value, i) => (
        <span key={i}>
          {i > 0 && ', '}
          {value}
        </span>
      ))}
    </span>
  )
}

export function StreamLink({ stream, children }: { stream: string; children?: React.ReactNode }) {
  return (
    <Anchor href={streamHref(stream)} className="mono">
      {children ?? stream}
    </Anchor>
  )
}

export function streamHref(stream: string, query = ''): string {
  const hash = stream.indexOf('#')
  const [plugin = '', name = ''] = stream.slice(0, hash).split(/\.(.*)/s)
  return `#/${[plugin, name, stream.slice(hash + 1)].map(encodeURIComponent).join('/')}${query}`
}
