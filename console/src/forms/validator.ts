import { Validator, type OutputUnit } from '@cfworker/json-schema'
import { toErrorSchema, type RJSFSchema, type RJSFValidationError, type ValidatorType } from '@rjsf/utils'
import type { Schema } from '../model/schema'

// ajv compiles schemas to code, which the page's Content-Security-Policy forbids; this one interprets them.

/** What is wrong with a value, in words, by field. */
export function validate(schema: Schema, value: unknown): RJSFValidationError[] {
  const { errors } = new Validator(interpreted(schema) as object, '2020-12', false).validate(value)
  const told = new Set<string>()
  return errors.flatMap((unit) => {
    const error = errorOf(schema, unit)
    if (!error || told.has(error.property ?? '')) return []
    told.add(error.property ?? '')
    return [error]
  })
}

// Binary floats have no exact multiple of 0.0001; decimals are checked by their digits.
function interpreted(schema: Schema): Schema {
  return JSON.parse(JSON.stringify(schema), (key, value) => (key === 'multipleOf' && value < 1 ? undefined : value))
}

const containers = new Set(['properties', 'items', 'additionalProperties', 'prefixItems', '$ref', 'allOf', 'anyOf', 'oneOf'])

function errorOf(schema: Schema, unit: OutputUnit): RJSFValidationError | undefined {
  if (containers.has(unit.keyword)) return undefined
  const path = segments(unit.instanceLocation)
  if (unit.keyword === 'required') {
    const missing = /"([^"]+)"/.exec(unit.error)?.[1]
    if (missing) path.push(missing)
  }
  const message = wordsOf(unit.keyword, at(schema, path))
  return { name: unit.keyword, message, stack: message, property: `.${path.join('.')}`, params: {} }
}

const segments = (pointer: string): string[] =>
  pointer
    .replace(/^#\/?/, '')
    .split('/')
    .filter(Boolean)
    .map((part) => decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~'))

const at = (schema: Schema, path: string[]): Schema =>
  path.reduce<Schema>((inner, part) => inner.properties?.[part] ?? inner.items ?? {}, schema)

function wordsOf(keyword: string, schema: Schema): string {
  switch (keyword) {
    case 'required':
      return 'Fill this in.'
    case 'type':
      return schema.type === 'integer' ? 'Must be a whole number.' : schema.type === 'number' ? 'Must be a number, such as 1234.5.' : `Must be of type ${String(schema.type)}.`
    case 'minLength':
      return schema.minLength === 1 ? 'Fill this in.' : `Needs at least ${schema.minLength} characters.`
    case 'maxLength':
      return `May have at most ${schema.maxLength} characters.`
    case 'minimum':
      return `Must be at least ${schema.minimum}.`
    case 'maximum':
      return `Must be at most ${schema.maximum}.`
    case 'minItems':
      return schema.minItems === 1 ? 'Choose at least one.' : `Choose at least ${schema.minItems}.`
    case 'maxItems':
      return `Choose at most ${schema.maxItems}.`
    case 'pattern':
      return schema.pattern === '\\S' ? 'May not be blank.' : `Must match ${schema.pattern}.`
    case 'format':
      return schema.format === 'email' ? 'Must be an e-mail address.' : `Must be a valid ${schema.format}.`
    case 'enum':
      return `Must be one of ${schema.enum?.join(', ')}.`
    default:
      return 'Is not valid.'
  }
}

export const validator: ValidatorType = {
  validateFormData(formData, schema, _customValidate, transformErrors, uiSchema) {
    const found = validate(schema as Schema, formData)
    const errors = transformErrors ? transformErrors(found, uiSchema) : found
    return { errors, errorSchema: toErrorSchema(errors) }
  },
  isValid: (schema, formData) => typeof schema === 'boolean' || validate(schema as Schema, formData).length === 0,
  rawValidation: <Result,>(schema: RJSFSchema, formData?: unknown) => ({ errors: validate(schema as Schema, formData) as Result[] }),
}
