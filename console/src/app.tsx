import { Center, Loader, MantineProvider } from '@mantine/core'
import { Notifications } from '@mantine/notifications'
import { QueryClient, QueryClientProvider, useQuery } from '@tanstack/react-query'
import { AwayError, ApiError } from './api/problem'
import { Frame } from './frame'
import { ShopProvider } from './shopprovider'
import { SignedOutError } from './state/signin'
import { start } from './state/start'
import { readable, theme } from './theme'
import { Problem } from './ui/problem'
import { SignedOut } from './ui/signedout'

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      retry: (count, error) => error instanceof ApiError && error.status >= 500 && count < 2,
      staleTime: 1000,
      // Whether the shop is there is for it to say: it may run on the very machine that is offline.
      networkMode: 'always',
    },
  },
})

export function App() {
  return (
    <MantineProvider theme={theme} cssVariablesResolver={readable} defaultColorScheme="auto">
      <Notifications position="bottom-right" />
      <QueryClientProvider client={queries}>
        <Start />
      </QueryClientProvider>
    </MantineProvider>
  )
}

function Start() {
  const { data, error } = useQuery({
    queryKey: ['start'],
    queryFn: start,
    staleTime: 'static',
    // Coming back to the window must not send anybody to the provider.
    refetchOnWindowFocus: false,
    refetchInterval: (query) => (query.state.error instanceof AwayError ? 2000 : false),
  })
  if (data)
    return (
      <ShopProvider started={data}>
        <Frame />
      </ShopProvider>
    )
  return <Center h="100dvh">{error instanceof SignedOutError ? <SignedOut error={error} /> : error ? <Problem error={error} /> : <Loader aria-label="Loading" />}</Center>
}
