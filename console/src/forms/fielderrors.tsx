import { Text } from '@mantine/core'
import { getUiOptions, type FieldErrorProps } from '@rjsf/utils'

/** A field's errors, where no widget shows them already. */
export function FieldErrors({ errors, schema, uiSchema }: FieldErrorProps) {
  const nested = schema.type === 'array' || schema.type === 'object'
  if (!errors?.length || !nested || getUiOptions(uiSchema).widget) return null
  return (
    <Text size="xs" c="var(--mantine-color-error)" component="div">
      {errors}
    </Text>
  )
}
