import { lazy, type ComponentType } from 'react'

/** A part of the page did not come: the server is away, or has a newer page by now. */
export class NotLoadedError extends Error {
  constructor(cause: unknown) {
    super('The server is away, or has a newer version of this page.', { cause })
    this.name = 'NotLoadedError'
  }
}

/** A part of the page that is loaded when it is shown. */
export function part<Props>(load: () => Promise<{ default: ComponentType<Props> }>) {
  return lazy(() =>
    load().catch((cause: unknown) => {
      throw new NotLoadedError(cause)
    }),
  )
}
