import { TextInput } from '@mantine/core'
import { Templates } from '@rjsf/mantine'
import { getDecimalSeparator, type BaseInputTemplateProps } from '@rjsf/utils'
import { useState } from 'react'
import { isNumeric, type Schema } from '../model/schema'
import { commonOf } from './fieldprops'
import { numberFrom } from './numbers'

const Plain = Templates.BaseInputTemplate!

/** A line of text; the library's field for numbers drops the comma that many languages write before decimals. */
export function InputTemplate(props: BaseInputTemplateProps) {
  return isNumeric(props.schema as Schema) ? <NumberInput {...props} /> : <Plain {...props} />
}

/** Shows what was typed as it was typed. */
function NumberInput(props: BaseInputTemplateProps) {
  const [text, setText] = useState(String(props.value ?? ''))
  return (
    <TextInput
      {...commonOf(props)}
      inputMode="decimal"
      value={text}
      onChange={(event) => {
        setText(event.currentTarget.value)
        props.onChange(numberFrom(event.currentTarget.value, getDecimalSeparator()))
      }}
    />
  )
}
