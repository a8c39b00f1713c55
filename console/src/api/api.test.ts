import { afterEach, expect, test, vi } from 'vitest'
import { Client, curlOf, pathOf } from './client'
import { ApiError, AwayError, inWords, isMissingEndpoint } from './problem'
import { rootOf } from './root'

afterEach(() => vi.unstubAllGlobals())

const problem = (status: number, body: object) =>
  new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/problem+json', 'X-Correlation-Id': 'c1' } })

test('the root is the page without the console', () => {
  expect(rootOf('http://127.0.0.1:8080/console/')).toBe('http://127.0.0.1:8080/')
  expect(rootOf('https://x.execute-api.eu-west-1.amazonaws.com/prod/console/index.html#/a')).toBe('https://x.execute-api.eu-west-1.amazonaws.com/prod/')
})

test('paths are encoded', () => {
  expect(pathOf('/a/b/{id}/events', 'x/y#1', { cursor: undefined, limit: 5 })).toBe('/a/b/x%2Fy%231/events?limit=5')
})

test('a problem becomes an error in words', async () => {
  vi.stubGlobal('fetch', async () => problem(409, { status: 409, code: 'NotAvailable', title: 'Conflict', detail: 'p1 is not available' }))
  const error = await new Client('http://shop/').get('/x').catch((e: unknown) => e)
  expect(error).toBeInstanceOf(ApiError)
  expect((error as ApiError).problem.correlationId).toBe('c1')
  expect(inWords(error)).toBe('P1 is not available.')
})

test('an endpoint that is missing differs from a row that is', () => {
  const missing = (code: string) => isMissingEndpoint(new ApiError({ status: 404, code, title: '', detail: '' }))
  expect(missing('NotFound')).toBe(true)
  expect(missing('AnimalNotFound')).toBe(false)
})

test('a server that is away is told, and told again once it is back', async () => {
  const reached: boolean[] = []
  const client = new Client('http://shop/')
  client.onReach = (there) => reached.push(there)
  vi.stubGlobal('fetch', async () => Promise.reject(new TypeError('failed')))
  await expect(client.get('/x')).rejects.toBeInstanceOf(AwayError)
  vi.stubGlobal('fetch', async () => Response.json({}))
  await client.get('/x')
  expect(reached).toEqual([false, true])
})

test('a dry run never carries the key of what is sent', async () => {
  const sent: Headers[] = []
  vi.stubGlobal('fetch', async (_: string, init: RequestInit) => {
    sent.push(new Headers(init.headers))
    return Response.json({})
  })
  const client = new Client('http://shop/prod/', { headers: () => ({ 'X-Local-User': 'ann' }) })
  await client.dryRun('/a', {}, { version: 3, idempotencyKey: 'k' })
  await client.command('/a', {}, { version: 3, idempotencyKey: 'k' })
  expect(sent[0]!.get('Prefer')).toBe('dry-run')
  expect(sent[0]!.get('Idempotency-Key')).toBeNull()
  expect(sent[1]!.get('If-Match')).toBe('"3"')
  expect(sent[1]!.get('Idempotency-Key')).toBe('k')
  expect(sent[1]!.get('X-Local-User')).toBe('ann')
})

test('what did not change is not sent again', async () => {
  const asked: (string | null)[] = []
  const answers = [
    Response.json({ n: 1 }, { headers: { ETag: 'W/"h1"' } }),
    new Response(null, { status: 304, headers: { ETag: 'W/"h1"' } }),
    Response.json({ n: 2 }, { headers: { ETag: '"2"' } }),
    Response.json({ n: 3 }),
    Response.json({ n: 4 }),
  ]
  vi.stubGlobal('fetch', async (_: string, init: RequestInit) => {
    asked.push(new Headers(init.headers).get('If-None-Match'))
    return answers.shift()
  })
  const client = new Client('http://shop/')
  expect(await client.get('/x')).toEqual({ n: 1 })
  expect(await client.get('/x')).toEqual({ n: 1 })
  expect(await client.getVersioned('/x')).toEqual({ body: { n: 2 }, version: 2 })
  await client.get('/x')
  await client.get('/x')
  expect(asked).toEqual([null, 'W/"h1"', 'W/"h1"', '"2"', null])
})

test('steps go on to the end', async () => {
  const bodies: unknown[] = []
  const answers = [{ done: 2, next: 'n' }, { done: 1 }]
  vi.stubGlobal('fetch', async (_: string, init: RequestInit) => {
    bodies.push(JSON.parse(String(init.body)))
    return Response.json(answers.shift())
  })
  const told: number[] = []
  expect(await new Client('http://shop/').steps('/operations/rebuild', { readModel: 'A.B' }, (done) => told.push(done))).toBe(3)
  expect(told).toEqual([2, 3])
  expect(bodies).toEqual([{ readModel: 'A.B' }, { readModel: 'A.B', cursor: 'n' }])
})

test('curl quotes what a shell would read', () => {
  expect(curlOf('http://shop/a', 'POST', { 'If-Match': '"1"' }, { a: "it's" })).toBe(
    `curl -sS -X POST 'http://shop/a' -H 'If-Match: "1"' -H 'Content-Type: application/json' -d '{"a":"it'\\''s"}'`,
  )
})
