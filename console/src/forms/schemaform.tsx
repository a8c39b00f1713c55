import { Form } from '@rjsf/mantine'
import type { ErrorSchema, RJSFSchema } from '@rjsf/utils'
import { useMemo, type ReactNode } from 'react'
import { ApiError } from '../api/problem'
import type { Schema } from '../model/schema'
import { useShop } from '../state/shop'
import { errorsAt } from './servererrors'
import { FieldErrors } from './fielderrors'
import { InputTemplate } from './inputtemplate'
import { prepare, uiSchemaOf } from './uischema'
import { validator } from './validator'
import { RefsWidget, RefWidget } from './refwidget'

interface Props {
  schema: Schema
  value: Record<string, unknown>
  /** The server's last answer, shown at its fields. */
  error?: unknown
  onChange: (value: Record<string, unknown>) => void
  onSubmit: (value: Record<string, unknown>) => void
  before?: ReactNode
  /** What stands below the fields, the button that sends included. */
  children: ReactNode
}

const templates = { FieldErrorTemplate: FieldErrors, BaseInputTemplate: InputTemplate }

const widgets = { ref: RefWidget, refs: RefsWidget }

/** A form made from a JSON Schema. */
export function SchemaForm({ schema, value, error, onChange, onSubmit, before, children }: Props) {
  const { model } = useShop()
  const prepared = useMemo(() => prepare(schema) as RJSFSchema, [schema])
  const uiSchema = useMemo(() => uiSchemaOf(model, schema), [model, schema])
  const extraErrors = useMemo<ErrorSchema | undefined>(() => (error instanceof ApiError ? errorsAt(error.problem) : undefined), [error])
  return (
    <>
      {before}
      <Form
        schema={prepared}
        uiSchema={uiSchema}
        widgets={widgets}
        templates={templates}
        validator={validator}
        formData={value}
        extraErrors={extraErrors}
        extraErrorsBlockSubmit={false}
        showErrorList={false}
        noHtml5Validate
        focusOnFirstError
        onChange={(e) => onChange(e.formData ?? {})}
        onSubmit={(e) => onSubmit(e.formData ?? {})}
      >
        <>{children}</>
      </Form>
    </>
  )
}
