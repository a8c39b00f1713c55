import type { UiSchema } from '@rjsf/utils'
import type { Model } from '../model/manifest'
import { fieldsOf, typeOf, type Schema } from '../model/schema'

/** How a schema's fields are shown: pickers for references, room for long texts. */
export function uiSchemaOf(model: Model, schema: Schema): UiSchema {
  const ui: UiSchema = { 'ui:options': { label: false } }
  fieldsOf(schema).forEach((field, i) => {
    const ref = model.refOf(field.schema)
    const array = typeOf(field.schema) === 'array'
    ui[field.name] = {
      'ui:title': field.title,
      ...(i === 0 ? { 'ui:autofocus': true } : {}),
      ...(ref ? { 'ui:widget': array ? 'refs' : 'ref', 'ui:options': { view: ref.name } } : {}),
      ...(!ref && (field.schema.maxLength ?? 0) > 300 ? { 'ui:widget': 'textarea', 'ui:options': { rows: 3 } } : {}),
    }
  })
  return ui
}

/** The schema without what would only repeat itself in a form. */
export function prepare(schema: Schema): Schema {
  const properties = Object.fromEntries(
    fieldsOf(schema).map(({ name, schema: field }) => [name, { ...field, ...(field.multipleOf && field.multipleOf < 1 ? { multipleOf: undefined } : {}) }]),
  )
  return { ...schema, title: undefined, description: undefined, properties }
}
