import { pathOf, type Client } from '../api/client'
import type { Accepted, Trace } from '../api/types'
import { isQuiet } from '../model/trace'

/** The version of the commit's first event, which a trace starts from. */
export const firstVersion = ({ version, events }: Accepted): number => version - events.length + 1

const pause = 400
const longest = 15_000

/** Follows what a command set off until nothing is on its way, and shows it as it comes. */
export async function untilQuiet(client: Client, accepted: Accepted, refresh: () => Promise<void>): Promise<void> {
  if (accepted.events.length === 0) return
  const stream = `${accepted.aggregate}#${accepted.id}`
  const path = pathOf('/operations/trace', undefined, { stream, version: firstVersion(accepted) })
  const end = Date.now() + longest
  try {
    while (!isQuiet((await client.get<Trace>(path)).then) && Date.now() < end) {
      await new Promise((resume) => setTimeout(resume, pause))
      await refresh()
    }
    await refresh()
  } catch {
    // Not everybody may see traces; the page is polled anyway.
  }
}
