import { createContext, useContext } from 'react'
import type { Client } from '../api/client'
import type { ConsoleConfig, Who } from '../api/types'
import type { Model } from '../model/manifest'
import type { ActAs } from './actas'
import type { Bundles } from './bundles'
import type { SignedIn } from './signin'

/** What every screen works with. */
export interface Shop {
  client: Client
  config: ConsoleConfig
  model: Model
  /** Absent where the server does not say. */
  who?: Who
  actAs?: ActAs
  setActAs(value: ActAs | undefined): void
  /** Absent where nobody signs in. */
  session?: SignedIn
  bundles: Bundles
}

export const ShopContext = createContext<Shop | undefined>(undefined)

export function useShop(): Shop {
  const shop = useContext(ShopContext)
  if (!shop) throw new Error('useShop outside of the shop')
  return shop
}
