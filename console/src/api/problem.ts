export interface Problem {
  status: number
  code: string
  title: string
  detail: string
  correlationId?: string
  errors?: { pointer: string; detail: string }[]
  [member: string]: unknown
}

/** What the server refused, in its own words. */
export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail || problem.title)
    this.name = 'ApiError'
  }

  get status(): number {
    return this.problem.status
  }

  get code(): string {
    return this.problem.code
  }
}

/** The server could not be reached; where something was sent, nobody knows whether it did what was asked. */
export class AwayError extends Error {
  constructor(readonly sending: boolean) {
    super('The server could not be reached.')
    this.name = 'AwayError'
  }
}

export async function problemOf(response: Response): Promise<Problem> {
  const correlationId = response.headers.get('X-Correlation-Id') ?? undefined
  const fallback: Problem = {
    status: response.status,
    code: `Http${response.status}`,
    title: response.statusText || `Status ${response.status}`,
    detail: '',
    correlationId,
  }
  if (!/json/.test(response.headers.get('Content-Type') ?? '')) return fallback
  try {
    return { ...fallback, ...((await response.json()) as Partial<Problem>) }
  } catch {
    return fallback
  }
}

/** True where an endpoint does not exist (yet), as opposed to a row that does not. */
export function isMissingEndpoint(error: unknown): boolean {
  return error instanceof ApiError && (error.code === 'NotFound' || error.code === 'MethodNotAllowed' || error.code === 'Http404')
}

export const isNotFound = (error: unknown): boolean => error instanceof ApiError && error.status === 404

const words: Record<string, string> = {
  Unauthenticated: 'You are not signed in, or your session ended.',
  VersionMismatch: 'Somebody else was faster: this has changed since you looked.',
  IdempotencyKeyReused: 'This form was already sent with other values. Close it and open it again.',
  TooManyRequests: 'Too many requests at once. Try again in a moment.',
  Unavailable: 'The shop is busy. Try again in a moment.',
  InternalError: 'Something is broken on the server. The correlation id finds it in the log.',
}

/** An error in words that a person can act on. */
export function inWords(error: unknown): string {
  if (error instanceof AwayError) return `The server could not be reached. ${error.sending ? 'Sending again is safe.' : 'Once it is back the page goes on by itself.'}`
  if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error)
  const known = words[error.code]
  const detail = error.problem.detail || error.problem.title
  return known ?? sentence(detail)
}

export function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?]$/.test(first) ? first : `${first}.`
}
