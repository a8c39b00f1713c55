import { Badge, NavLink, Text } from '@mantine/core'
import { useEffect, useRef, type ReactNode } from 'react'
import { isAdmin, mayUse, shortName } from '../model/manifest'
import { humanize } from '../model/schema'
import { useHealth } from '../state/queries'
import { href, useRoute } from '../state/router'
import { useShop } from '../state/shop'
import { IconAlert, IconBag, IconClock, IconEye, IconHome, IconMail, IconMap, IconStream, IconTable, IconUpload } from './icons'

export function Menu() {
  const { config, model, who, bundles } = useShop()
  const admin = isAdmin(who)
  const parked = useHealth().data?.plugins.flatMap((p) => p.consumers).reduce((sum, c) => sum + c.parked, 0) ?? 0
  return (
    <>
      <Entry to={[]} label="Dashboard" icon={<IconHome />} />
      {bundles.pages
        .filter((page) => page.menu !== false)
        .map((page) => (
          <Entry key={page.path} to={page.path.split('/')} label={page.title} icon={<IconBag />} />
        ))}
      {model.plugins.map((plugin) => (
        <Section key={plugin.name} title={humanize(plugin.name)}>
          {plugin.readModels
            .filter((view) => mayUse(view.access, who))
            .map((view) => (
              <Entry key={view.name} to={[plugin.name, shortName(view.name)]} label={humanize(shortName(view.name))} icon={<IconTable />} />
            ))}
          {admin && plugin.aggregates.length > 0 && (
            <NavLink label="Histories" leftSection={<IconStream />} component="button" py={5} childrenOffset={20}>
              {plugin.aggregates.map((aggregate) => (
                <Entry key={aggregate.name} to={[plugin.name, shortName(aggregate.name)]} label={humanize(shortName(aggregate.name))} />
              ))}
            </NavLink>
          )}
        </Section>
      ))}
      <Section title="Operations">
        {admin && model.tasks.some((task) => task.upload ?? task.report) && <Entry to={['imports']} label="Imports" icon={<IconUpload />} />}
        {admin && (
          <Entry
            to={['failures']}
            label="Failures"
            icon={<IconAlert />}
            mark={parked > 0 && <Badge color="red" size="sm" variant="filled">{parked}</Badge>}
          />
        )}
        {admin && <Entry to={['views']} label="Views" icon={<IconEye />} />}
        {admin && model.tasks.some((task) => task.schedules) && <Entry to={['schedules']} label="Schedules" icon={<IconClock />} />}
        {admin && config.emails && <Entry to={['mail']} label="Mail" icon={<IconMail />} />}
        <Entry to={['map']} label="Map" icon={<IconMap />} />
      </Section>
    </>
  )
}

function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <>
      <Text size="xs" c="dimmed" fw={600} px="sm" pt="md" pb={4}>
        {title}
      </Text>
      {children}
    </>
  )
}

function Entry({ to, label, icon, mark }: { to: string[]; label: string; icon?: ReactNode; mark?: ReactNode }) {
  const { segments } = useRoute()
  const active = to.length === 0 ? segments.length === 0 : to.length <= segments.length && to.every((part, i) => part === segments[i])
  const link = useRef<HTMLAnchorElement>(null)
  useEffect(() => {
    if (active) link.current?.scrollIntoView({ block: 'nearest' })
  }, [active])
  return (
    <NavLink
      ref={link}
      href={href(to)}
      label={label}
      leftSection={icon}
      rightSection={mark}
      active={active}
      aria-current={active ? 'page' : undefined}
      py={5}
      variant="light"
      style={{ borderRadius: 'var(--mantine-radius-md)' }}
    />
  )
}
