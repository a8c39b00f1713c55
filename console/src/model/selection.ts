import type { ReadModelManifest } from '../api/types'

const comparisons = ['gte', 'gt', 'lte', 'lt']

/** What a list's URL asks for of what its view declares: filter, range, order and search. */
export function selectionOf(view: ReadModelManifest, query: URLSearchParams): Record<string, string> {
  const ranges = view.sorts.flatMap((field) => comparisons.map((comparison) => `${field}.${comparison}`))
  const asked = [...view.indexes, ...ranges].flatMap((name) => (query.get(name) ? [[name, query.get(name)!]] : []))
  const sort = query.get('sort')
  if (sort && view.sorts.includes(sort.replace(/^-/, ''))) asked.push(['sort', sort])
  // A search needs a letter or digit to find words by.
  const search = query.get('q')
  if (search && view.searches.length > 0 && /[\p{L}\p{N}]/u.test(search)) asked.push(['q', search])
  return Object.fromEntries(asked) as Record<string, string>
}

export function sortOf(query: URLSearchParams, field: string): 'ascending' | 'descending' | undefined {
  const sort = query.get('sort')
  if (sort === field) return 'ascending'
  return sort === `-${field}` ? 'descending' : undefined
}

/** Sorted up, then down, then not at all. */
export function nextSort(query: URLSearchParams, field: string): string | undefined {
  const sorted = sortOf(query, field)
  if (!sorted) return field
  return sorted === 'ascending' ? `-${field}` : undefined
}
