import { Autocomplete, MultiSelect, Select, TagsInput } from '@mantine/core'
import type { WidgetProps } from '@rjsf/utils'
import { useSample } from '../state/queries'
import { useShop } from '../state/shop'
import { commonOf } from './fieldprops'
import { optionsOf } from './options'

/** A picker for the id of a row in another view. */
export function RefWidget(props: WidgetProps) {
  const { options, more } = useOptions(props)
  const common = commonOf(props)
  const change = (value: string | null) => props.onChange(value || undefined)
  // Where there are more rows than can be shown, ids can be typed, too.
  if (more) return <Autocomplete {...common} data={options.map((o) => o.value)} value={props.value ?? ''} onChange={change} />
  return (
    <Select {...common} searchable clearable={!props.required} data={withPresent(options, props.value)} value={props.value ?? null} onChange={change} nothingFoundMessage="Nothing found" />
  )
}

export function RefsWidget(props: WidgetProps) {
  const { options, more } = useOptions(props)
  const common = commonOf(props)
  // A list that needs an item begins with one that is not chosen yet.
  const value = (Array.isArray(props.value) ? props.value : []).filter((id) => typeof id === 'string')
  if (more) return <TagsInput {...common} data={options.map((o) => o.value)} value={value} onChange={props.onChange} />
  return <MultiSelect {...common} searchable data={options} value={value} onChange={props.onChange} nothingFoundMessage="Nothing found" hidePickedOptions />
}

function useOptions(props: WidgetProps) {
  const { model } = useShop()
  const view = model.view(String(props.options.view))
  const { data } = useSample(view)
  return { options: view ? optionsOf(view, data?.items ?? []) : [], more: data?.next !== undefined }
}

const withPresent = (options: { value: string; label: string }[], value: unknown) =>
  typeof value === 'string' && value && !options.some((o) => o.value === value) ? [...options, { value, label: value }] : options
