/** The versions that this page's own commands led to, for reading them at once. */
class Writes {
  private readonly versions = new Map<string, number>()

  remember(stream: string, version: number): void {
    this.versions.set(stream, Math.max(version, this.versions.get(stream) ?? 0))
  }

  version(stream: string): number | undefined {
    return this.versions.get(stream)
  }
}

export const writes = new Writes()
