import { Button, Card, Modal, Stack, Text, Title } from '@mantine/core'
import { useState } from 'react'
import { useFact } from '../state/fact'
import { useRefresh } from '../state/queries'
import { useShop } from '../state/shop'
import { sessionEnded, type SignedIn, type SignedOutError } from '../state/signin'
import { Problem } from './problem'

/** In place of the page, where nobody is signed in. */
export function SignedOut({ error }: { error: SignedOutError }) {
  const { failure, run } = useSigningIn()
  const reason = failure ?? error.reason
  return (
    <Card withBorder w={420} maw="90vw" component="main">
      <Stack>
        <Title order={1}>{error.shop}</Title>
        {reason !== undefined ? <Problem error={reason} title="You are not signed in" /> : <Text>You are signed out.</Text>}
        <Button onClick={() => run(error.signIn)}>
          Sign in
        </Button>
      </Stack>
    </Card>
  )
}

/** Over the page, which keeps what was typed, where the server no longer takes who signed in. */
export function SessionEnded() {
  const { session } = useShop()
  const ended = useFact(sessionEnded)
  return session && ended ? <Again session={session} /> : null
}

function Again({ session }: { session: SignedIn }) {
  const refresh = useRefresh()
  const { failure, run } = useSigningIn()
  return (
    <Modal opened onClose={() => undefined} withCloseButton={false} title="Your session ended" zIndex={1000} role="alertdialog">
      <Stack>
        <Text size="sm">Sign in again to go on. It opens a window of its own, and what you typed stays here.</Text>
        {failure !== undefined && <Problem error={failure} title="That did not work" />}
        <Button onClick={() => run(() => session.signInBeside().then(refresh))} data-autofocus>
          Sign in again
        </Button>
        {failure !== undefined && (
          <Button variant="default" onClick={() => run(session.signInHere)}>
            Sign in on this page, without what you typed
          </Button>
        )}
      </Stack>
    </Modal>
  )
}

function useSigningIn() {
  const [failure, setFailure] = useState<unknown>()
  const run = (signIn: () => Promise<void>) => {
    setFailure(undefined)
    signIn().catch(setFailure)
  }
  return { failure, run }
}
