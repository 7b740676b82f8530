/** The graphs of one database server: they share the threads that link and search them. */
import { Graph } from './graph/graph.ts'
import { GraphPool } from './graph/pool.ts'
import type { Graphs } from './index-graph.ts'

export function openGraphs(): Graphs {
  const pool = new GraphPool()
  return {
    create: (spec, limits) => Graph.create(spec, limits, pool),
    restore: (spec, limits, blocks) => Graph.restore(spec, limits, blocks, pool),
    close: () => pool.close(),
  }
}
