export type Change = { path: string; before?: unknown; after?: unknown; kind: 'added' | 'removed' | 'changed' }

type Json = Record<string, unknown> | unknown[]

const isTree = (value: unknown): value is Json => typeof value === 'object' && value !== null

const isLeaf = (value: unknown): boolean => !isTree(value) || Object.keys(value).length === 0

/** What changed between two JSON values, by path, in the order of the keys. */
export function diff(before: unknown, after: unknown, path = ''): Change[] {
  if (Object.is(before, after)) return []
  if (isTree(before) && isTree(after) && Array.isArray(before) === Array.isArray(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)])
    return [...keys].flatMap((key) => diff(member(before, key), member(after, key), `${path}/${escape(key)}`))
  }
  if (isLeaf(before) && isLeaf(after) && JSON.stringify(before) === JSON.stringify(after)) return []
  if (before === undefined) return [{ path, after, kind: 'added' }]
  if (after === undefined) return [{ path, before, kind: 'removed' }]
  return [{ path, before, after, kind: 'changed' }]
}

const member = (tree: Json, key: string): unknown => (tree as Record<string, unknown>)[key]

const escape = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1')
