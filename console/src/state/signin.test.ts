import { expect, test } from 'vitest'
import { signOutAddress } from './signin'

const config = { name: 'Shop', currency: 'EUR', auth: 'oidc', clientId: 'page', demo: false, emails: false } as const
const page = 'https://api.example.com/prod/console/'

test('a provider with a way of its own is told who signs out, and where to send them', () => {
  expect(signOutAddress({ ...config, signOutUrl: 'https://login.example.com/logout' }, page)).toBe(
    'https://login.example.com/logout?client_id=page&logout_uri=https%3A%2F%2Fapi.example.com%2Fprod%2Fconsole%2F',
  )
})

test('any other is asked as OpenID Connect has it', () => {
  expect(signOutAddress(config, page)).toBeUndefined()
})
