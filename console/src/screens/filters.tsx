import { Autocomplete, Group, Select, TextInput } from '@mantine/core'
import { useState } from 'react'
import type { ReadModelManifest } from '../api/types'
import { titleOf, typeOf, type Schema } from '../model/schema'
import { useSample } from '../state/queries'
import { navigate, useRoute, withQuery } from '../state/router'
import { useShop } from '../state/shop'
import { optionsOf } from '../forms/options'

/** The filters that a view declares; one at a time. */
export function Filters({ view }: { view: ReadModelManifest }) {
  const route = useRoute()
  const none = Object.fromEntries(view.indexes.map((field) => [field, undefined]))
  const set = (field: string, value: string | null) => navigate(withQuery(route, { ...none, [field]: value ?? undefined, cursor: undefined, page: undefined }))
  return (
    <Group gap="xs">
      {view.indexes.map((field) => (
        <Filter
          key={field}
          view={view}
          field={field}
          schema={view.schema.properties?.[field] ?? {}}
          value={route.query.get(field)}
          onChange={(value) => set(field, value)}
        />
      ))}
    </Group>
  )
}

/** Finds rows by the beginnings of words. */
export function Search({ view }: { view: ReadModelManifest }) {
  const route = useRoute()
  const names = view.searches.map((field) => titleOf(field, view.schema.properties?.[field] ?? {}))
  return (
    <TextInput
      size="xs"
      w={200}
      label="Search"
      type="search"
      placeholder={names.join(', ')}
      maxLength={60}
      value={route.query.get('q') ?? ''}
      onChange={(e) => navigate(withQuery(route, { q: e.currentTarget.value, cursor: undefined, page: undefined }), 'replace')}
    />
  )
}

interface FilterProps {
  view: ReadModelManifest
  field: string
  schema: Schema
  value: string | null
  onChange: (value: string | null) => void
}

function Filter(props: FilterProps) {
  const { model } = useShop()
  const ref = model.refOf(props.schema)
  const label = titleOf(props.field, props.schema)
  const common = { size: 'xs', label, placeholder: 'All', w: 200 } as const
  if (ref) return <RefFilter {...props} target={ref} common={common} />
  const choices = typeOf(props.schema) === 'boolean' ? ['true', 'false'] : props.schema.enum?.map(String)
  if (choices) return <Select {...common} clearable data={choices} value={props.value} onChange={props.onChange} />
  return <TextFilter {...props} common={common} />
}

type Common = { size: 'xs'; label: string; placeholder: string; w: number }

function RefFilter({ target, common, value, onChange }: FilterProps & { target: ReadModelManifest; common: Common }) {
  const { data } = useSample(target)
  const options = optionsOf(target, data?.items ?? [])
  if (data?.next) return <IdFilter options={options} value={value} onChange={onChange} common={common} />
  return <Select {...common} searchable clearable data={options} value={value} onChange={onChange} nothingFoundMessage="Nothing found" />
}

/** Where there are too many to choose from, an id can be typed, too. */
function IdFilter({ options, common, value, onChange }: { options: { value: string }[]; common: Common; value: string | null; onChange: FilterProps['onChange'] }) {
  const [text, setText] = useState(value ?? '')
  return (
    <Autocomplete
      {...common}
      data={options.map((o) => o.value)}
      value={text}
      onChange={setText}
      onOptionSubmit={onChange}
      onKeyDown={(e) => e.key === 'Enter' && onChange(text || null)}
    />
  )
}

function TextFilter({ common, value, onChange }: FilterProps & { common: Common }) {
  const [text, setText] = useState(value ?? '')
  const send = () => text !== (value ?? '') && onChange(text || null)
  return (
    <TextInput
      {...common}
      value={text}
      onChange={(e) => setText(e.currentTarget.value)}
      onBlur={send}
      onKeyDown={(e) => e.key === 'Enter' && send()}
    />
  )
}
