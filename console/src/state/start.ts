import { Client, type Session } from '../api/client'
import { ApiError, isMissingEndpoint } from '../api/problem'
import { apiRoot } from '../api/root'
import type { ConsoleConfig, Manifest, Who } from '../api/types'
import { Model } from '../model/manifest'
import { actAsHeaders, readActAs } from './actas'
import { away } from './connection'
import { signIn, SignedOutError, type SignedIn } from './signin'

export interface Started {
  client: Client
  config: ConsoleConfig
  model: Model
  who?: Who
  /** Absent where nobody signs in. */
  session?: SignedIn
}

/** Asks what the console needs to know before it shows anything. */
export async function start(): Promise<Started> {
  const client = new Client(apiRoot())
  client.onReach = (reached) => away.set(!reached)
  const config = await client.get<ConsoleConfig>('/console/config.json')
  const session = config.auth === 'oidc' ? await signIn(config) : undefined
  client.session = session ?? local
  try {
    const [manifest, who] = await Promise.all([client.get<Manifest>('/manifest.json'), ifOffered(client.get<Who>('/whoami'))])
    return { client, config, model: new Model(manifest), who, session }
  } catch (error) {
    // A token that is refused when it is new is refused again: whoever is there decides, and not a redirect.
    if (session && error instanceof ApiError && error.status === 401)
      throw new SignedOutError(config.name, session.signInHere, new Error(`The shop does not take this sign-in: ${error.message}.`))
    throw error
  }
}

const local: Session = { headers: () => actAsHeaders(readActAs()) }

async function ifOffered<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (isMissingEndpoint(error)) return undefined
    throw error
  }
}
