/** The part of JSON Schema that the shop's schemas use. */
export interface Schema {
  type?: string | string[]
  title?: string
  description?: string
  format?: string
  enum?: unknown[]
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  minimum?: number
  maximum?: number
  multipleOf?: number
  minLength?: number
  maxLength?: number
  pattern?: string
  minItems?: number
  maxItems?: number
  additionalProperties?: boolean | Schema
  'x-ref'?: string
  /** It is about somebody who can be erased. */
  'x-personal'?: boolean
  [keyword: string]: unknown
}

export interface Field {
  name: string
  title: string
  schema: Schema
}

export function fieldsOf(schema: Schema): Field[] {
  return Object.entries(schema.properties ?? {}).map(([name, property]) => ({
    name,
    title: titleOf(name, property),
    schema: property,
  }))
}

/** A field's own title, else its name in words; that of a reference `keeperId` is what it points to. */
export function titleOf(name: string, schema: Schema): string {
  if (schema.title !== undefined) return schema.title
  return humanize(schema['x-ref'] === undefined ? name : name.replace(/Id(s?)$/, '$1'))
}

/** `OpeningHours` and `visitCount` as people write them. */
export function humanize(name: string): string {
  const words = name
    .replace(/_/g, ' ')
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
    .trim()
    .split(/\s+/)
  return words
    .map((word, i) => (i === 0 ? word.charAt(0).toUpperCase() + word.slice(1) : /^[A-Z]{2,}$/.test(word) ? word : word.toLowerCase()))
    .join(' ')
}

/** Texts as a sentence begins: `Email and address`. */
export function listed(texts: string[]): string {
  const all = [texts.slice(0, -1).join(', '), ...texts.slice(-1)].filter(Boolean).join(' and ')
  return all.charAt(0).toUpperCase() + all.slice(1)
}

export const typeOf = (schema: Schema): string | undefined => (Array.isArray(schema.type) ? schema.type.find((t) => t !== 'null') : schema.type)

export function isNumeric(schema: Schema): boolean {
  const type = typeOf(schema)
  return type === 'number' || type === 'integer'
}

export const isMoney = (schema: Schema): boolean => schema.format === 'price'

export const isTime = (schema: Schema): boolean => schema.format === 'date-time'

/** An id that a new row can be sent to, made of its name as its form says it. */
export function idFrom(name: unknown, fallback: string): string {
  if (typeof name !== 'string') return fallback
  const slug = name
    .normalize('NFKD')
    .replace(/[\u0300-\u036f]/g, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 64)
  return slug || fallback
}
