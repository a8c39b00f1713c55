import { Button, Group, Modal, Stack, TagsInput, Text, TextInput } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { useState } from 'react'
import { useShop } from '../state/shop'
import { IconUser } from './icons'

/** Who the caller is, and where the shop allows it, a switch to be somebody else. */
export function Caller() {
  const { who, session } = useShop()
  const [open, { open: show, close }] = useDisclosure()
  if (!who) return null
  return (
    <>
      <Button variant="subtle" color="gray" size="compact-sm" onClick={show} aria-label={`You are ${who.user}`} maw={180}>
        <IconUser />
        <Text span inherit truncate visibleFrom="xs" ml={6}>
          {who.user}
        </Text>
      </Button>
      <Modal opened={open} onClose={close} title="Who you are">
        <Stack>
          <Text size="sm">
            You are <b>{who.user}</b>, {who.groups.length ? `in ${who.groups.join(', ')}` : 'in no group'}.
          </Text>
          {who.actAs && <ActAsForm onDone={close} />}
          {session && (
            <Button variant="default" onClick={() => session.signOut()}>
              Sign out
            </Button>
          )}
        </Stack>
      </Modal>
    </>
  )
}

function ActAsForm({ onDone }: { onDone: () => void }) {
  const { who, actAs, setActAs } = useShop()
  const [user, setUser] = useState(actAs?.user ?? '')
  const [groups, setGroups] = useState<string[]>(actAs?.groups ?? [])
  const finish = (value: typeof actAs) => {
    setActAs(value)
    onDone()
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        if (user) finish({ user, groups })
      }}
    >
      <Stack>
        <Text size="sm" c="dimmed">
          This shop runs without sign-in, so you may look at it as somebody else.
        </Text>
        <TextInput label="Act as user" value={user} onChange={(e) => setUser(e.currentTarget.value)} placeholder={who?.user} data-autofocus />
        <TagsInput label="In groups" description="None: what anybody may do who signed in." data={['Admin']} value={groups} onChange={setGroups} />
        <Group justify="flex-end">
          {actAs && (
            <Button variant="default" onClick={() => finish(undefined)}>
              Be yourself again
            </Button>
          )}
          <Button type="submit" disabled={!user}>
            Act as {user || '…'}
          </Button>
        </Group>
      </Stack>
    </form>
  )
}
