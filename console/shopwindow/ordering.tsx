import type { BundleError, ConsoleApi } from '../bundle'
import { Basket } from './basket'
import { statusInWords } from './status'

/** Ordering's part of the shop window: the basket, being a customer, one's orders. */
export function register(console: ConsoleApi): void {
  const { react: React, ui, useView, useRow, money, inWords, href, navigate } = console
  const { Alert, Anchor, Badge, Button, Card, Group, Stack, Table, Text, TextInput, Title } = ui
  const basket = new Basket(
    () => console.caller()?.user ?? '',
    () => sessionStorage,
  )

  /** A product that can be ordered, null where it can't: of the first ones, which are asked for at once, or by itself. */
  const useProduct = (id: string | undefined) => {
    const { data } = useView('Ordering.AvailableProducts', { limit: 200 })
    const first = data?.items.find((row) => row.id === id)
    const row = useRow('Ordering.AvailableProducts', data && !first ? id : undefined).data
    return first ?? row
  }

  const useBasket = () => React.useSyncExternalStore(basket.subscribe, basket.items)
  /** Whom the visitor has said to be. The pages say it in their URL, too. */
  const useCustomer = () => React.useSyncExternalStore(basket.subscribe, basket.customer)
  const useCustomerOf = (query: URLSearchParams) => {
    const known = useCustomer()
    return query.get('customer') ?? known
  }

  function Header() {
    const count = useBasket().length
    const customer = useCustomer()
    return (
      <Group gap="xs">
        <Button component="a" variant="default" href={href(['shop', 'orders'], { customer })}>
          My orders
        </Button>
        <Button component="a" href={href(['shop', 'basket'], { customer })}>
          Basket ({count})
        </Button>
      </Group>
    )
  }

  function AddToBasket({ context }: { context: unknown }) {
    const { id, name } = context as { id: string; name: string }
    const chosen = useBasket().includes(id)
    return (
      <Button
        size="xs"
        variant={chosen ? 'default' : 'light'}
        aria-label={`${chosen ? 'In the basket' : 'Add to basket'}: ${name}`}
        aria-pressed={chosen}
        onClick={() => (chosen ? basket.remove(id) : basket.add(id))}
      >
        {chosen ? 'In the basket' : 'Add to basket'}
      </Button>
    )
  }

  function BasketPage({ query }: { query: URLSearchParams }) {
    const ids = useBasket()
    const customer = useCustomerOf(query)
    return (
      <Stack maw={720}>
        <Group justify="space-between">
          <Title order={1}>Basket</Title>
          <Button component="a" variant="default" href={href(['shop'])}>
            Back to the shop
          </Button>
        </Group>
        {ids.length === 0 ? (
          <Text>
            Your basket is empty. <Anchor href={href(['shop'])} inherit>Choose something</Anchor> first.
          </Text>
        ) : (
          <Card withBorder>
            <Table>
              <Table.Tbody>
                {ids.map((id) => (
                  <Line key={id} id={id} />
                ))}
              </Table.Tbody>
              <Table.Tfoot>
                <Table.Tr>
                  <Table.Th scope="row">Total</Table.Th>
                  <Table.Td ta="right" fw={700}>
                    <Total ids={ids} />
                  </Table.Td>
                  <Table.Td />
                </Table.Tr>
              </Table.Tfoot>
            </Table>
          </Card>
        )}
        {customer ? ids.length > 0 && <Buyer key={ids.join(' ')} customer={customer} ids={ids} /> : <Register />}
      </Stack>
    )
  }

  function Line({ id }: { id: string }) {
    const product = useProduct(id)
    const name = String(product?.name ?? id)
    return (
      <Table.Tr>
        <Table.Td>{name}</Table.Td>
        <Table.Td ta="right">{product ? money(Number(product.price)) : product === null && 'not available'}</Table.Td>
        <Table.Td w={100}>
          <Button size="compact-xs" variant="default" aria-label={`Remove ${name}`} onClick={() => basket.remove(id)}>
            Remove
          </Button>
        </Table.Td>
      </Table.Tr>
    )
  }

  /** The prices of all, once each is known: one product after the other adds its own. */
  function Total({ ids, sum = 0 }: { ids: readonly string[]; sum?: number }) {
    const [id, ...rest] = ids
    const product = useProduct(id)
    if (id === undefined) return money(sum)
    if (product === undefined) return null
    return <Total ids={rest} sum={sum + Number(product?.price ?? 0)} />
  }

  /** Who was here before may be gone: erased, or of a shop that has begun anew. */
  function Buyer({ customer, ids }: { customer: string; ids: readonly string[] }) {
    const account = useRow('Ordering.Customers', customer).data
    const gone = account === null ? 'is not registered' : account?.erased ? 'was erased' : account?.deactivated ? 'can’t order any more' : undefined
    if (!gone) return <PlaceOrder customer={customer} ids={ids} />
    return (
      <>
        <Alert variant="outline" role="status">
          The customer {customer} {gone}.
        </Alert>
        <Register />
      </>
    )
  }

  function PlaceOrder({ customer, ids }: { customer: string; ids: readonly string[] }) {
    const { error, sending, run } = useSending()
    const place = () =>
      run(async () => {
        const { id, key } = basket.orderAs(customer)
        await console.command('Ordering.Order', id, 'Place', { customerId: customer, productIds: [...ids] }, key)
        basket.clear()
        navigate(href(['shop', 'orders'], { customer }))
      })
    return (
      <Stack>
        <Text size="sm">
          You order as <b>{customer}</b>.{' '}
          <Anchor
            inherit
            href={href(['shop', 'basket'])}
            onClick={() => basket.become(undefined)}
          >
            Be somebody else
          </Anchor>
        </Text>
        <Failure error={error} />
        <Button loading={sending} onClick={place}>
          Place the order
        </Button>
      </Stack>
    )
  }

  function Register() {
    const [id, setId] = React.useState('')
    const [email, setEmail] = React.useState('')
    const [address, setAddress] = React.useState('')
    const { error, sending, run } = useSending()
    const key = React.useMemo(() => crypto.randomUUID(), [id, email, address])
    const customer = id || `customer-${key.slice(0, 8)}`
    const become = (name: string) => {
      basket.become(name)
      navigate(href(['shop', 'basket'], { customer: name }))
    }
    const send = (event: React.FormEvent) => {
      event.preventDefault()
      run(async () => {
        await console.command('Ordering.Customer', customer, 'Register', { email, address }, key)
        become(customer)
      })
    }
    return (
      <Card withBorder>
        <form onSubmit={send}>
          <Stack>
            <Title order={2}>Who are you?</Title>
            <Text size="sm">Register as a customer, or say which one you are.</Text>
            <TextInput label="Customer id" value={id} onChange={(e) => setId(e.currentTarget.value)} placeholder="made up for you" />
            <TextInput label="E-mail" type="email" value={email} onChange={(e) => setEmail(e.currentTarget.value)} />
            <TextInput label="Address" value={address} onChange={(e) => setAddress(e.currentTarget.value)} />
            <Failure error={error} />
            <Group>
              <Button type="submit" loading={sending} disabled={!email || !address}>
                Register
              </Button>
              <Button variant="default" disabled={!id} onClick={() => become(id)}>
                I am registered already
              </Button>
            </Group>
          </Stack>
        </form>
      </Card>
    )
  }

  function OrdersPage({ query }: { query: URLSearchParams }) {
    const customer = useCustomerOf(query)
    return (
      <Stack maw={860}>
        <Group justify="space-between">
          <Title order={1}>My orders</Title>
          <Button component="a" variant="default" href={href(['shop'])}>
            Back to the shop
          </Button>
        </Group>
        {customer ? <Orders customer={customer} /> : <Register />}
      </Stack>
    )
  }

  function Orders({ customer }: { customer: string }) {
    const { data, error } = useView('Ordering.Orders', { customerId: customer, sort: '-placedAt', limit: 200 })
    const account = useRow('Ordering.Customers', customer)
    return (
      <Stack>
        <Text size="sm" c="dimmed">
          Orders of {customer}
          {account.data?.email ? `, ${String(account.data.email)}` : ''}
        </Text>
        <Failure error={error} />
        {data?.items.length === 0 && <Text>No orders yet. Fill the basket and place the first one.</Text>}
        {data?.items.map((order) => (
          <Card withBorder key={order.id} component="article" aria-label={order.id}>
            <Group justify="space-between">
              <Title order={2}>{order.id}</Title>
              <Badge variant="dot" color={order.status === 'cancelled' ? 'gray' : 'green'} tt="none">
                {String(order.status)}
              </Badge>
            </Group>
            <Text size="sm">
              {(order.productIds as string[]).map((id, i) => (
                <React.Fragment key={i}>
                  {i > 0 && ', '}
                  <Name id={id} />
                </React.Fragment>
              ))}
            </Text>
            <Text size="sm" c="dimmed">
              {statusInWords(String(order.status))}
            </Text>
            <Anchor fz="sm" href={href(['trace', `Ordering.Order#${order.id}`, '1'])}>
              See what it set off
            </Anchor>
            {order.status === 'placed' && <CancelOrder id={order.id} />}
          </Card>
        ))}
      </Stack>
    )
  }

  /** Until it is shipped, which may be at once. */
  function CancelOrder({ id }: { id: string }) {
    const key = React.useRef(crypto.randomUUID()).current
    const { error, sending, run } = useSending()
    return (
      <Stack align="flex-start" mt="xs">
        <Failure error={error} />
        <Button
          size="xs"
          variant="default"
          aria-label={`Cancel the order ${id}`}
          loading={sending}
          onClick={() => run(async () => void (await console.command('Ordering.Order', id, 'Cancel', {}, key)))}
        >
          Cancel the order
        </Button>
      </Stack>
    )
  }

  function Name({ id }: { id: string }) {
    return String(useProduct(id)?.name ?? id)
  }

  function Failure({ error }: { error: unknown }) {
    if (!error) return null
    const id = (error as BundleError).problem?.correlationId
    return (
      <Alert color="red" variant="outline" role="alert">
        {inWords(error)}
        {id && <Text size="xs">Correlation id {id}</Text>}
      </Alert>
    )
  }

  function useSending() {
    const [state, setState] = React.useState<{ sending: boolean; error?: unknown }>({ sending: false })
    const run = (task: () => Promise<void>) => {
      setState({ sending: true })
      task().then(
        () => setState({ sending: false }),
        (error: unknown) => setState({ sending: false, error }),
      )
    }
    return { ...state, run }
  }

  console.addPage({ path: 'shop/basket', title: 'Basket', menu: false, component: BasketPage })
  console.addPage({ path: 'shop/orders', title: 'My orders', menu: false, component: OrdersPage })
  console.fillSlot('shop.header', Header)
  console.fillSlot('shop.product', AddToBasket)
}
