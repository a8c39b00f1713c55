import { useReducer, useRef } from 'react'
import type { Client } from '../api/client'
import { ApiError, AwayError } from '../api/problem'
import type { UploadTarget } from '../api/types'

export interface Upload {
  nr: number
  name: string
  /** From 0 to 1. */
  sent: number
  error?: unknown
}

/** Files on their way to a task. */
export function useUploads(client: Client, path: string, onDone: () => void) {
  const next = useRef(0)
  const [uploads, change] = useReducer(reduce, [])
  const add = (files: File[]) => {
    for (const file of files) {
      const nr = next.current++
      change({ nr, name: file.name, sent: 0 })
      send(client, path, file, (sent) => change({ nr, name: file.name, sent })).then(onDone, (error: unknown) =>
        change({ nr, name: file.name, sent: 0, error }),
      )
    }
  }
  return { uploads, add }
}

function reduce(uploads: Upload[], changed: Upload): Upload[] {
  return uploads.some(({ nr }) => nr === changed.nr) ? uploads.map((upload) => (upload.nr === changed.nr ? changed : upload)) : [...uploads, changed]
}

async function send(client: Client, path: string, file: File, onProgress: (sent: number) => void): Promise<void> {
  const target: UploadTarget = await client.post(path, { key: file.name, size: file.size })
  await put(client, target, file, onProgress)
  onProgress(1)
}

// fetch does not tell how much of a body was sent.
function put(client: Client, target: UploadTarget, file: File, onProgress: (sent: number) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    const url = client.url(target.url)
    request.open(target.method, url)
    const own = url.startsWith(client.root) ? client.session.headers() : {}
    for (const [name, value] of Object.entries({ ...own, ...target.headers })) request.setRequestHeader(name, value)
    request.upload.onprogress = (event) => onProgress(event.loaded / Math.max(1, event.total))
    request.onload = () => {
      if (request.status === 401 && url.startsWith(client.root)) client.session.onUnauthenticated?.()
      if (request.status < 300) resolve()
      else reject(refusal(request))
    }
    request.onerror = () => reject(new AwayError(true))
    request.send(file)
  })
}

function refusal(request: XMLHttpRequest): ApiError {
  const fallback = { status: request.status, code: `Http${request.status}`, title: 'The file was refused', detail: '' }
  try {
    return new ApiError({ ...fallback, ...JSON.parse(request.responseText) })
  } catch {
    return new ApiError(fallback)
  }
}
