import type { ConsoleApi } from '../bundle'
import { bestsellers, most, sortings, type Product } from './products'

/** The Catalog's part of the shop window: its products as cards. */
export function register(console: ConsoleApi): void {
  const { react: React, ui, useView, useRow, Slot, money, inWords, href, navigate } = console
  const { Alert, Badge, Card, Chip, Group, Select, SimpleGrid, Skeleton, Stack, Text, TextInput, Title } = ui

  function Window({ query }: { query: URLSearchParams }) {
    const category = query.get('category') ?? ''
    const search = query.get('q') ?? ''
    const sort = query.get('sort') ?? 'name'
    const best = sort === bestsellers.value
    const categories = useView('Catalog.Categories', { limit: 200 })
    const names = new Map(categories.data?.items.map((row) => [row.id, String(row.name)]))
    const go = (changes: Record<string, string>, how?: 'replace') => navigate(href(['shop'], { ...Object.fromEntries(query), ...changes }), how)
    // Neither a category nor a search goes with the bestsellers.
    const among: Record<string, string> = best ? { sort: 'name' } : {}
    return (
      <Stack>
        <Group justify="space-between">
          <Title order={1}>{console.config.name}</Title>
          <Slot name="shop.header" />
        </Group>
        <Group justify="space-between" align="flex-end">
          <Group gap="xs">
            <TextInput aria-label="Search products" placeholder="Search" value={search} onChange={(e) => go({ q: e.currentTarget.value, ...among }, 'replace')} />
            <Select aria-label="Sort products" w={160} data={[...sortings, bestsellers]} value={sort} onChange={(value) => go(value === bestsellers.value ? { sort: value, q: '', category: '' } : { sort: value ?? 'name' })} allowDeselect={false} />
          </Group>
        </Group>
        <Chip.Group value={category} onChange={(value) => go({ category: String(value), ...among })}>
          <Group gap="xs">
            <Chip value="">All</Chip>
            {categories.data?.items.filter((row) => !row.archived).map((row) => (
              <Chip key={row.id} value={row.id}>
                {String(row.name)}
              </Chip>
            ))}
          </Group>
        </Chip.Group>
        {best ? <Bestsellers names={names} /> : <Products category={category} search={search} sort={sort} names={names} />}
      </Stack>
    )
  }

  type Names = Map<string, string>

  function Products({ category, search, sort, names }: { category: string; search: string; sort: string; names: Names }) {
    const { data, error, isPending } = useView('Catalog.Products', {
      categoryId: category || undefined,
      // A search needs a letter or digit to find words by.
      q: /[\p{L}\p{N}]/u.test(search) ? search : undefined,
      sort: sortings.find((sorting) => sorting.value === sort)?.sort ?? 'name',
      limit: most,
    })
    const shown = (data?.items ?? []) as unknown as Product[]
    return (
      <>
        {error && <Alert color="red">{inWords(error)}</Alert>}
        {isPending && <Skeleton h={240} />}
        {data && shown.length === 0 && (
          <Text>{category || search ? 'Nothing here. Choose another category, or search for something else.' : 'There is nothing to buy yet.'}</Text>
        )}
        <Cards>
          {shown.map((product) => (
            <ProductCard key={product.id} product={product} category={names.get(product.categoryId ?? '')} />
          ))}
        </Cards>
        {data?.next && <Text c="dimmed">There are more. Choose a category, or search.</Text>}
      </>
    )
  }

  function Bestsellers({ names }: { names: Names }) {
    const { data, error, isPending } = useView('Catalog.ProductDemands', { sort: '-orderCount', 'orderCount.gt': 0, limit: 12 })
    return (
      <>
        {error && <Alert color="red">{inWords(error)}</Alert>}
        {isPending && <Skeleton h={240} />}
        {data?.items.length === 0 && <Text>Nothing was ordered yet.</Text>}
        <Cards>
          {data?.items.map((demand) => (
            <Bestseller key={demand.id} id={demand.id} names={names} />
          ))}
        </Cards>
      </>
    )
  }

  function Bestseller({ id, names }: { id: string; names: Names }) {
    const product = useRow('Catalog.Products', id).data as unknown as Product | null | undefined
    return product ? <ProductCard product={product} category={names.get(product.categoryId ?? '')} /> : null
  }

  function Cards({ children }: { children: React.ReactNode }) {
    return <SimpleGrid cols={{ base: 1, xs: 2, md: 3, xl: 4 }}>{children}</SimpleGrid>
  }

  function ProductCard({ product, category }: { product: Product; category?: string }) {
    return (
      <Card withBorder component="article" aria-label={product.name}>
        <Stack gap="xs" h="100%" justify="space-between">
          <div>
            {category && (
              <Badge variant="default" tt="none" fw={500} mb="xs">
                {category}
              </Badge>
            )}
            <Title order={2}>{product.name}</Title>
            <Text size="sm" c="dimmed">
              {product.description}
            </Text>
          </div>
          <Group justify="space-between">
            <Text fw={700}>{money(product.price)}</Text>
            <Slot name="shop.product" context={product} />
          </Group>
        </Stack>
      </Card>
    )
  }

  console.addPage({ path: 'shop', title: 'Shop window', component: Window })
}
