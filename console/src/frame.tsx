import { AppShell, Box, Burger, Button, Group, Kbd, Loader, ScrollArea, Text, UnstyledButton } from '@mantine/core'
import { useDisclosure, useHotkeys } from '@mantine/hooks'
import { spotlight } from '@mantine/spotlight'
import { Suspense, useEffect } from 'react'
import { Away } from './ui/away'
import { Boundary } from './ui/boundary'
import { Caller } from './ui/caller'
import { IconSearch } from './ui/icons'
import { Menu } from './ui/menu'
import { part } from './ui/part'
import { SessionEnded } from './ui/signedout'
import { Screens } from './screens/screens'
import { useRoute } from './state/router'
import { useShop } from './state/shop'

const Palette = part(() => import('./ui/palette'))

export function Frame() {
  const { config } = useShop()
  const route = useRoute()
  const [menu, { toggle, close }] = useDisclosure()
  const place = route.segments.join('/')
  useEffect(close, [place, close])
  useHotkeys([['mod+K', spotlight.open]], [])

  return (
    <AppShell header={{ height: 52 }} navbar={{ width: 232, breakpoint: 'sm', collapsed: { mobile: !menu } }} padding="md">
      <Button component="a" href="#main" className="skip" onClick={focusMain}>
        Skip to the content
      </Button>
      <AppShell.Header>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap" gap="xs">
          <Group gap="xs" wrap="nowrap" miw={0}>
            <Burger opened={menu} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Menu" />
            <UnstyledButton component="a" href="#/" miw={0}>
              <Text fw={700} truncate>
                {config.name}
              </Text>
            </UnstyledButton>
          </Group>
          <Group gap="xs" wrap="nowrap">
            <Away />
            <Button variant="default" size="compact-sm" onClick={spotlight.open} aria-label="Go to Ctrl K">
              <IconSearch />
              <Box visibleFrom="sm" ml={6}>
                Go to <Kbd size="xs">Ctrl K</Kbd>
              </Box>
            </Button>
            <Caller />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar aria-label="Menu">
        <AppShell.Section grow component={ScrollArea} viewportProps={{ tabIndex: 0 }} p="xs">
          <Menu />
        </AppShell.Section>
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1} style={{ outline: 'none' }}>
        <Boundary key={place}>
          <Suspense fallback={<Loader aria-label="Loading" />}>
            <Screens />
          </Suspense>
        </Boundary>
      </AppShell.Main>
      <Boundary fallback={null}>
        <Suspense>
          <Palette />
        </Suspense>
      </Boundary>
      <SessionEnded />
    </AppShell>
  )
}

function focusMain(event: React.MouseEvent): void {
  event.preventDefault()
  document.getElementById('main')?.focus()
}
