import '@xyflow/react/dist/style.css'
import './map.css'
import { Skeleton, useComputedColorScheme } from '@mantine/core'
import { Background, Controls, Handle, MarkerType, Position, ReactFlow, type Edge as FlowEdge, type Node as FlowNode, type NodeProps } from '@xyflow/react'
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import type { Consumer } from '../api/types'
import { duration } from '../model/format'
import { humanize } from '../model/schema'
import { useHealth } from '../state/queries'
import { navigate, useRoute, withQuery } from '../state/router'
import { useShop } from '../state/shop'
import { Screen } from '../ui/page'
import { Contract } from './contract'
import { graphOf, type Edge, type Node } from './graph'
import { layout, nodeSize, type Places } from './layout'

type Part = FlowNode<{ part: Node }, 'part'>

const kinds: Record<Node['kind'], string> = {
  aggregate: 'Aggregate',
  mapping: 'Mapping',
  point: 'Extension point',
  extension: 'Extension',
  view: 'View',
  effect: 'Side effect',
  task: 'Task',
}

function PartNode({ data: { part } }: NodeProps<Part>) {
  return (
    <div className={`part part-${part.kind}`}>
      <Handle type="target" position={Position.Left} isConnectable={false} />
      <small>
        {kinds[part.kind]} in {humanize(part.plugin)}
        {part.waits && `, ${part.waits}`}
      </small>
      <strong>{humanize(part.name)}</strong>
      <Handle type="source" position={Position.Right} isConnectable={false} />
    </div>
  )
}

const nodeTypes = { part: PartNode }

/** The system as a picture: what there is, what follows what, and how well. */
export default function MapScreen() {
  const { model } = useShop()
  const route = useRoute()
  const colorMode = useComputedColorScheme()
  const graph = useMemo(() => graphOf(model.manifest), [model])
  const { data: places } = useQuery({ queryKey: ['layout', graph], queryFn: () => layout(graph), staleTime: Infinity })
  const health = useHealth().data
  const consumers = useMemo(() => new Map(health?.plugins.flatMap((p) => p.consumers).map((c) => [c.name, c])), [health])
  const chosen = graph.nodes.find((node) => node.id === route.query.get('part'))
  const close = () => navigate(withQuery(route, { part: undefined }))

  return (
    <Screen title="Map" about="Choose a part to see its contract. Edges show how far behind each follower is.">
      {!places ? (
        <Skeleton h="70vh" />
      ) : (
        <div className="map">
          <ReactFlow
            colorMode={colorMode}
            nodeTypes={nodeTypes}
            nodes={graph.nodes.map((part): Part => ({
              id: part.id,
              type: 'part',
              position: places.get(part.id) ?? { x: 0, y: 0 },
              data: { part },
              ariaLabel: `${kinds[part.kind]} ${humanize(part.name)}`,
              ...nodeSize,
            }))}
            edges={graph.edges.map((edge) => flowEdge(edge, consumers, places))}
            onNodeClick={(_, node) => navigate(withQuery(route, { part: node.id }))}
            nodesDraggable={false}
            nodesConnectable={false}
            edgesFocusable={false}
            fitView
            fitViewOptions={{ padding: 0.04, minZoom: 0.5, maxZoom: 1.1 }}
            minZoom={0.1}
            proOptions={{ hideAttribution: true }}
          >
            <Background />
            <Controls showInteractive={false} fitViewOptions={{ padding: 0.04 }} />
          </ReactFlow>
        </div>
      )}
      {chosen && <Contract part={chosen} kind={kinds[chosen.kind]} consumer={consumers.get(chosen.consumer ?? '')} onClose={close} />}
    </Screen>
  )
}

function flowEdge({ from, to, consumer, refused, read }: Edge, consumers: Map<string, Consumer>, places: Places): FlowEdge {
  const backwards = (places.get(from)?.x ?? 0) >= (places.get(to)?.x ?? 0)
  const { parked = 0, lagSeconds = 0 } = consumers.get(consumer ?? '') ?? {}
  const label = refused ? 'if refused' : read ? 'reads' : parked > 0 ? `${parked} parked` : lagSeconds > 1 ? `${duration(lagSeconds)} behind` : undefined
  return {
    id: `${from}→${to}${refused ? ' if refused' : read ? ' reads' : ''}`,
    source: from,
    target: to,
    // A curve back would run behind the parts.
    type: backwards ? 'smoothstep' : undefined,
    label,
    animated: lagSeconds > 1,
    className: refused ? 'edge-refused' : read ? 'edge-read' : parked > 0 ? 'edge-parked' : undefined,
    markerEnd: { type: MarkerType.ArrowClosed },
  }
}
