import type { User } from 'oidc-client-ts'
import { inWords } from '../api/problem'
import type { Session } from '../api/client'
import { apiRoot } from '../api/root'
import type { ConsoleConfig } from '../api/types'
import { Fact } from './fact'

export interface SignedIn extends Session {
  signOut(): void
  /** Signs in beside the page, which keeps what is on it. */
  signInBeside(): Promise<void>
  /** Signs in on the page, which is left for it. */
  signInHere(): Promise<void>
}

/** The server no longer takes whom the page signed in. */
export const sessionEnded = new Fact()

/** Nobody is signed in: by choice, or for a reason. */
export class SignedOutError extends Error {
  constructor(
    readonly shop: string,
    readonly signIn: () => Promise<void>,
    readonly reason?: unknown,
  ) {
    super(reason === undefined ? 'You are signed out.' : inWords(reason))
    this.name = 'SignedOutError'
  }
}

// Said once, so that signing out is not followed by signing in again by itself.
const leftKey = 'console.signedOut'

/** Signs in with OpenID Connect, authorization code with PKCE; tokens stay in memory. */
export async function signIn(config: ConsoleConfig): Promise<SignedIn> {
  const { InMemoryWebStorage, UserManager, WebStorageStateStore } = await import('oidc-client-ts')
  // As the provider knows it, whatever it was opened by.
  const page = new URL('console/', apiRoot()).href
  const manager = new UserManager({
    authority: config.issuer ?? '',
    client_id: config.clientId ?? '',
    scope: config.scope ?? 'openid',
    redirect_uri: page,
    popup_redirect_uri: page,
    post_logout_redirect_uri: page,
    userStore: new WebStorageStateStore({ store: new InMemoryWebStorage() }),
    // Renewal goes by refresh token only: the page may not hold frames.
    automaticSilentRenew: false,
  })
  void manager.clearStaleState() // of sign-ins that nobody finished

  const signInHere = async () => {
    sessionStorage.removeItem(leftKey)
    try {
      await manager.signinRedirect({ state: location.hash })
    } catch (error) {
      throw reachable(config, error)
    }
  }
  const signedOut = (reason?: unknown) => new SignedOutError(config.name, signInHere, reason)

  const answer = new URLSearchParams(location.search)
  const from = location.href
  let user: User | null = null
  if (answer.has('state')) {
    history.replaceState(null, '', page + location.hash)
    if (answer.has('code') || answer.has('error')) {
      try {
        user = (await manager.signinCallback(from)) ?? null
      } catch (error) {
        throw signedOut(reachable(config, error))
      }
      if (!user) return never // This window was opened beside a page, which goes on.
      if (typeof user.state === 'string') history.replaceState(null, '', page + user.state)
    }
  }
  if (!user) {
    if (sessionStorage.getItem(leftKey)) throw signedOut()
    await signInHere().catch((error: unknown) => {
      throw signedOut(error)
    })
    return never
  }

  manager.events.addUserLoaded((loaded) => {
    // Somebody else must not see what the page holds.
    if (user && loaded.profile.sub !== user.profile.sub) location.reload()
    user = loaded
    sessionEnded.set(false)
  })
  manager.events.addAccessTokenExpiring(() => {
    if (user?.refresh_token) void manager.signinSilent().catch(() => undefined) // The server says when it is over.
  })
  return {
    headers: (): Record<string, string> => (user ? { Authorization: `Bearer ${user.access_token}` } : {}),
    onUnauthenticated: () => sessionEnded.set(true),
    signInHere,
    async signInBeside() {
      try {
        await manager.signinPopup()
      } catch (error) {
        throw reachable(config, error)
      }
    },
    signOut() {
      sessionStorage.setItem(leftKey, 'yes')
      const address = signOutAddress(config, page)
      if (address) {
        void manager.removeUser().then(() => location.assign(address))
        return
      }
      // Where the provider has no place to sign out at, the page forgets who it was.
      void manager.signoutRedirect().catch(() => location.replace(page))
    },
  }
}

/** Where a provider signs people out in its own way, and sends them back to the page. */
export function signOutAddress({ signOutUrl, clientId = '' }: ConsoleConfig, page: string): string | undefined {
  if (!signOutUrl) return undefined
  return `${signOutUrl}?${new URLSearchParams({ client_id: clientId, logout_uri: page })}`
}

const never = new Promise<never>(() => undefined)

// fetch only says that it failed.
function reachable(config: ConsoleConfig, error: unknown): unknown {
  return error instanceof TypeError ? new Error(`The sign-in provider ${config.issuer ?? ''} could not be reached. Try again in a moment.`) : error
}
