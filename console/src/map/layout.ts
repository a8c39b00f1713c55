import ELK from 'elkjs/lib/elk.bundled.js'
import type { Graph } from './graph'

export const nodeSize = { width: 168, height: 58 }

export type Places = Map<string, { x: number; y: number }>

const elk = new ELK()

/** Where each node goes, layer by layer, without crossing more than needed. */
export async function layout({ nodes, edges }: Graph): Promise<Places> {
  const placed = await elk.layout({
    id: 'root',
    layoutOptions: {
      'elk.algorithm': 'layered',
      'elk.direction': 'RIGHT',
      'elk.layered.layering.strategy': 'LONGEST_PATH_SOURCE',
      'elk.layered.spacing.nodeNodeBetweenLayers': '48',
      'elk.spacing.nodeNode': '20',
      'elk.spacing.componentComponent': '36',
      'elk.aspectRatio': '1.2',
      'elk.layered.feedbackEdges': 'true',
      'elk.layered.considerModelOrder.strategy': 'PREFER_EDGES',
    },
    children: nodes.map(({ id }) => ({ id, ...nodeSize })),
    edges: edges.map(({ from, to }, i) => ({ id: String(i), sources: [from], targets: [to] })),
  })
  return new Map(placed.children?.map(({ id, x = 0, y = 0 }) => [id, { x, y }]))
}
