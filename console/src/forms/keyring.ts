/** A form's idempotency keys: the same for each retry of what was sent, another for other values. */
export class KeyRing {
  private readonly keys = new Map<string, string>()

  keyFor(path: string, payload: unknown): string {
    const what = `${path} ${JSON.stringify(payload)}`
    const key = this.keys.get(what) ?? crypto.randomUUID()
    this.keys.set(what, key)
    return key
  }
}
