import { Component, type ReactNode } from 'react'
import { Problem } from './problem'

/** Keeps a part that fails from taking the rest of the page with it. */
export class Boundary extends Component<{ children: ReactNode; title?: string; fallback?: ReactNode }, { error?: unknown }> {
  state: { error?: unknown } = {}

  static getDerivedStateFromError(error: unknown) {
    return { error }
  }

  render() {
    if (this.state.error === undefined) return this.props.children
    return this.props.fallback ?? <Problem error={this.state.error} title={this.props.title ?? 'This part of the page failed'} />
  }
}
