const written = /^[+-]?(\d+([.,]\d*)?|[.,]\d+)$/

/**
 * A number as people write it: point and comma are both taken for the sign before decimals.
 * What is none, or might have a mark between thousands, stays the text that it is.
 * @param separator the sign before decimals in the reader's language
 */
export function numberFrom(text: string, separator: string): number | string | undefined {
  const trimmed = text.trim()
  if (trimmed === '') return undefined
  const thousands = separator === '.' ? /^[+-]?[1-9]\d{0,2},\d{3}$/ : /^[+-]?[1-9]\d{0,2}\.\d{3}$/
  if (!written.test(trimmed) || thousands.test(trimmed)) return trimmed
  return Number(trimmed.replace(',', '.'))
}
