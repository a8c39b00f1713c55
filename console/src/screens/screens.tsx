import { Empty } from '../ui/empty'
import { Screen } from '../ui/page'
import { part } from '../ui/part'
import { useRoute } from '../state/router'
import { useShop } from '../state/shop'
import { Dashboard } from './dashboard'
import { ItemsScreen, ListScreen } from './list'

const AggregateScreen = part(() => import('./aggregate'))
const StreamsScreen = part(() => import('./streams'))
const TraceScreen = part(() => import('./trace'))
const ImportsScreen = part(() => import('./imports'))
const FailuresScreen = part(() => import('./failures'))
const ViewsScreen = part(() => import('./views'))
const SchedulesScreen = part(() => import('./schedules'))
const MailScreen = part(() => import('./mail'))
const MapScreen = part(() => import('../map/map'))

/** The screen that the URL says. */
export function Screens() {
  const { model, bundles } = useShop()
  const { segments, query } = useRoute()
  const [first, second = '', third] = segments

  if (first === undefined) return <Dashboard />
  if (model.plugins.some((p) => p.name === first)) {
    const name = `${first}.${second}`
    const view = model.view(name)
    if (view?.items && third !== undefined) return <ItemsScreen key={`${name}#${third}`} view={view} id={third} />
    const aggregate = model.aggregate(name) ?? (view && third !== undefined ? model.aggregateOf(view) : undefined)
    if (aggregate && third !== undefined) return <AggregateScreen key={`${aggregate.name}#${third}`} aggregate={aggregate} id={third} />
    if (view && third === undefined) return <ListScreen key={name} view={view} />
    if (aggregate) return <StreamsScreen key={name} aggregate={aggregate} />
  }
  switch (first) {
    case 'trace':
      return <TraceScreen stream={second} version={Number(third ?? 1)} />
    case 'imports':
      return <ImportsScreen />
    case 'failures':
      return <FailuresScreen />
    case 'views':
      return <ViewsScreen />
    case 'schedules':
      return <SchedulesScreen />
    case 'mail':
      return <MailScreen id={segments[1]} />
    case 'map':
      return <MapScreen />
  }
  const Page = bundles.page(segments.join('/'))?.component
  if (Page) return <Page query={query} />
  return (
    <Screen title="Nothing here">
      <Empty title="There is no such page.">Press Ctrl K to find another, or start at the dashboard.</Empty>
    </Screen>
  )
}
