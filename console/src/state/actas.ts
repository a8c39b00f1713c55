/** Whom a local shop without a provider should take the caller for. */
export interface ActAs {
  user: string
  groups: string[]
}

const key = 'console.actAs'

// Kept for the tab, so that a reload does not make its visitor somebody else.
export function readActAs(): ActAs | undefined {
  try {
    return JSON.parse(sessionStorage.getItem(key) ?? 'null') ?? undefined
  } catch {
    return undefined
  }
}

export function writeActAs(value: ActAs | undefined): void {
  if (value) sessionStorage.setItem(key, JSON.stringify(value))
  else sessionStorage.removeItem(key)
}

export function actAsHeaders(value: ActAs | undefined): Record<string, string> {
  return value ? { 'X-Local-User': value.user, 'X-Local-Groups': value.groups.join(',') } : {}
}
