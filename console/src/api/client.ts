import type { Accepted, Preview, Progress } from './types'
import { ApiError, AwayError, problemOf } from './problem'

export interface Session {
  /** Headers that say who the caller is. */
  headers(): Record<string, string>
  /** Called where the server wants to know who the caller is. */
  onUnauthenticated?(): void
}

export interface Sending {
  /** The version that the person saw; absent where it is not known. */
  version?: number
  idempotencyKey?: string
  signal?: AbortSignal
}

export interface Answer<T> {
  body: T
  version?: number
}

/** How many answers are remembered: more than a screen asks for. */
const remembered = 100

export class Client {
  // What was answered last, by URL: the server keeps it from the browser's cache, and answers 304 where it still holds.
  private readonly answers = new Map<string, { tag: string; body: unknown }>()

  /** Told after each request whether the server was there. */
  onReach: (reached: boolean) => void = () => undefined

  constructor(
    readonly root: string,
    public session: Session = { headers: () => ({}) },
  ) {}

  url(path: string): string {
    return new URL(path.replace(/^\//, ''), this.root).href
  }

  async get<T>(path: string, signal?: AbortSignal): Promise<T> {
    return (await this.getVersioned<T>(path, signal)).body
  }

  async getVersioned<T>(path: string, signal?: AbortSignal): Promise<Answer<T>> {
    const known = this.answers.get(path)
    const response = await this.request(path, { signal, headers: known && { 'If-None-Match': known.tag } })
    const body = response.status === 304 ? known?.body : await response.json()
    this.remember(path, response.headers.get('ETag'), body)
    return { body: body as T, version: versionOf(response) }
  }

  private remember(path: string, tag: string | null, body: unknown): void {
    this.answers.delete(path) // so that the latest stands last
    if (tag) this.answers.set(path, { tag, body })
    for (const oldest of this.answers.keys()) {
      if (this.answers.size <= remembered) break
      this.answers.delete(oldest)
    }
  }

  async getText(path: string, signal?: AbortSignal): Promise<string> {
    return (await this.request(path, { signal })).text()
  }

  async post<T>(path: string, body: unknown, headers: Record<string, string> = {}, signal?: AbortSignal): Promise<T> {
    const response = await this.request(path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'Content-Type': 'application/json', ...headers },
      signal,
    })
    const text = await response.text()
    return (text === '' ? undefined : JSON.parse(text)) as T
  }

  command(path: string, payload: unknown, how: Sending): Promise<Accepted> {
    return this.post(path, payload, commandHeaders(how), how.signal)
  }

  dryRun(path: string, payload: unknown, how: Sending): Promise<Preview> {
    return this.post(path, payload, { ...commandHeaders({ version: how.version }), Prefer: 'dry-run' }, how.signal)
  }

  /** Takes an operation's steps to its end. */
  async steps(path: string, body: object, onProgress: (done: number) => void, signal?: AbortSignal): Promise<number> {
    let done = 0
    let cursor: string | undefined
    do {
      const step: Progress = await this.post(path, cursor ? { ...body, cursor } : body, {}, signal)
      done += step.done
      cursor = step.next
      onProgress(done)
    } while (cursor)
    return done
  }

  private async request(path: string, init: RequestInit): Promise<Response> {
    let response: Response
    try {
      response = await fetch(this.url(path), {
        cache: 'no-store',
        ...init,
        headers: { Accept: 'application/json', ...this.session.headers(), ...init.headers },
      })
    } catch (error) {
      if (init.signal?.aborted) throw error
      this.onReach(false)
      throw new AwayError(init.method === 'POST')
    }
    this.onReach(true)
    if (response.ok || response.status === 304) return response
    if (response.status === 401) this.session.onUnauthenticated?.()
    throw new ApiError(await problemOf(response))
  }
}

export function commandHeaders({ version, idempotencyKey }: Sending): Record<string, string> {
  return {
    ...(version ? { 'If-Match': `"${version}"` } : {}),
    ...(idempotencyKey ? { 'Idempotency-Key': idempotencyKey } : {}),
  }
}

function versionOf(response: Response): number | undefined {
  const match = /^(?:W\/)?"(\d+)"$/.exec(response.headers.get('ETag') ?? '')
  return match ? Number(match[1]) : undefined
}

/** A path with an id, and parameters that are set. */
export function pathOf(template: string, id?: string, parameters: Record<string, string | number | undefined> = {}): string {
  const path = id === undefined ? template : template.replace('{id}', encodeURIComponent(id))
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined && value !== '') query.set(name, String(value))
  const text = query.toString()
  return text ? `${path}?${text}` : path
}

export function curlOf(url: string, method: string, headers: Record<string, string>, body?: unknown): string {
  const parts = ['curl', '-sS']
  if (method !== 'GET') parts.push('-X', method)
  parts.push(quote(url))
  for (const [name, value] of Object.entries(headers)) parts.push('-H', quote(`${name}: ${value}`))
  if (body !== undefined) parts.push('-H', quote('Content-Type: application/json'), '-d', quote(JSON.stringify(body)))
  return parts.join(' ')
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`
