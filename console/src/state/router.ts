import { useSyncExternalStore } from 'react'

/** The screen, which the URL's hash alone says. */
export interface Route {
  segments: string[]
  query: URLSearchParams
}

export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split(/\?(.*)/s)
  return { segments: path.split('/').filter(Boolean).map(decode), query: new URLSearchParams(query) }
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

export type Query = Record<string, string | number | undefined>

export function href(segments: string[], query: Query = {}): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== '') parameters.set(name, String(value))
  const text = parameters.toString()
  return `#/${segments.map(encodeURIComponent).join('/')}${text ? `?${text}` : ''}`
}

export function navigate(to: string, how: 'push' | 'replace' = 'push'): void {
  if (how === 'push') location.hash = to
  else {
    history.replaceState(history.state, '', to)
    dispatchEvent(new HashChangeEvent('hashchange'))
  }
}

/** This screen with other parameters; those given as undefined go. */
export function withQuery(route: Route, changes: Query): string {
  return href(route.segments, { ...Object.fromEntries(route.query), ...changes })
}

function subscribe(changed: () => void): () => void {
  addEventListener('hashchange', changed)
  return () => removeEventListener('hashchange', changed)
}

let parsed: { hash: string; route: Route } | undefined

// One object per hash, as React compares snapshots by identity.
function snapshot(): Route {
  if (parsed?.hash !== location.hash) parsed = { hash: location.hash, route: parseRoute(location.hash) }
  return parsed.route
}

export const useRoute = (): Route => useSyncExternalStore(subscribe, snapshot)
