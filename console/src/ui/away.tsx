import { Badge, Tooltip } from '@mantine/core'
import { useEffect, useRef } from 'react'
import { useAway } from '../state/connection'
import { useHealth, useRefresh } from '../state/queries'

/** Says whether the server is there; the health is asked for on and on, so that it goes on by itself. */
export function Away() {
  const away = useAway()
  const { data } = useHealth()
  const refresh = useRefresh()
  const was = useRef(away)
  useEffect(() => {
    if (was.current && !away) void refresh()
    was.current = away
  }, [away, refresh])

  const { label, color, about } = away
    ? { label: 'Away', color: 'red', about: 'The server is away. This page goes on by itself once it is back.' }
    : data?.status === 'degraded'
      ? { label: 'Degraded', color: 'yellow', about: 'The server answers. Something needs a look.' }
      : { label: 'Live', color: 'green', about: 'The server answers. Everything on this page is kept up to date.' }
  return (
    <Tooltip label={about}>
      <Badge variant="dot" color={color} tt="none" fw={500} role="status" tabIndex={0} aria-label={about}>
        {label}
      </Badge>
    </Tooltip>
  )
}
