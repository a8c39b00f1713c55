import { Button } from '@mantine/core'
import { Component, type ReactNode } from 'react'
import { NotLoadedError } from './part'
import { Problem } from './problem'

/** Keeps a part that fails from taking the rest of the page with it. */
export class Boundary extends Component<{ children: ReactNode; title?: string; fallback?: ReactNode }, { error?: unknown }> {
  state: { error?: unknown } = {}

  static getDerivedStateFromError(error: unknown) {
    return { error }
  }

  render() {
    if (this.state.error === undefined) return this.props.children
    if (this.props.fallback !== undefined) return this.props.fallback
    if (this.state.error instanceof NotLoadedError)
      return (
        <Problem error={this.state.error} title="This part of the page did not load">
          <Button size="xs" onClick={() => location.reload()}>
            Load the page again
          </Button>
        </Problem>
      )
    return <Problem error={this.state.error} title={this.props.title ?? 'This part of the page failed'} />
  }
}
