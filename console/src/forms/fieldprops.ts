import { labelValue, type WidgetProps } from '@rjsf/utils'

/** What a field's schema says of any input for it. */
export function commonOf(props: WidgetProps) {
  return {
    id: props.id,
    label: labelValue(props.label || undefined, props.hideLabel, undefined),
    description: props.schema.description,
    required: props.required,
    autoFocus: props.autofocus,
    error: props.rawErrors?.length ? props.rawErrors.join(' ') : undefined,
  }
}
