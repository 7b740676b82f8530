/** How good an answer is: EXPLAIN ANALYZE compares it with the exact one. */
import type { VectorIndex } from '../vector/vector-index.ts'
import { Pause } from './operator.ts'
import type { Nearest } from './vector-nearest.ts'
import { note, type Run, type Site } from './vector-site.ts'

/** Up to so many elements (rows times dimensions). */
const SAMPLE_ELEMENTS = 50_000_000

/** For EXPLAIN ANALYZE: how many of the rows about to go up are among the truly nearest, while finding those is cheap. */
export function* sample(site: Site, run: Run, found: Nearest, index: VectorIndex): Generator<Pause, void, undefined> {
  const { plan, spec } = site
  const entries = index.status.entries || plan.entries
  if (
    site.keys !== undefined ||
    !Number.isFinite(run.wanted) ||
    plan.ties ||
    entries * Math.max(1, spec.dimensions) > SAMPLE_ELEMENTS
  )
    return
  const rows = found.take(found.count)
  for (const row of rows) found.add(row)
  const truth: Run = { ...run, given: new Set(), instrument: undefined }
  const at = plan.wanted.length
  let furthest: number | undefined
  let count = 0
  for (const step of site.exact(truth)) {
    if (step instanceof Pause) {
      yield step
      continue
    }
    for (const row of step) {
      if (count >= run.wanted) break
      count++
      furthest = row[at] as number
    }
    if (count >= run.wanted) break
  }
  if (furthest === undefined) return
  const limit = furthest
  const hits = rows.slice(0, run.wanted).filter((row) => (row[at] as number) <= limit).length
  note(run, 'Sampled Recall', (hits / Math.min(count, run.wanted)).toFixed(3))
}
