/**
 * Rows under a name: WITH and its scans, the working table of a recursive query, Materialize. A CTE runs as far as its
 * readers ask; one that changes data runs to its end even when nobody reads it, after the body.
 *
 * x.kept has a CTE's rows under its slot, and a working table under -1 - slot.
 */

import { invariant } from '../../storage/keys/invariant.ts'
import type { Plan } from '../plan/plan.ts'
import type { Value } from '../types/value.ts'
import type { CompileEnv } from './env.ts'
import { keyTable } from './hashing.ts'
import { type Execution, type Operator, Pause, SLICE_OVER, type Steps } from './operator.ts'
import { freeSlots } from './plan-walk.ts'
import { Replay, RowStore } from './store.ts'

type Of<K extends Plan['kind']> = Extract<Plan, { kind: K }>

const workKey = (slot: number) => -1 - slot

export function compileWith(plan: Of<'with'>, env: CompileEnv): Operator {
  const ctes = plan.ctes.map((cte) => ({ ...cte, operator: env.compilePlan(cte.plan, env) }))
  const body = env.compilePlan(plan.body, env)
  return {
    *run(x) {
      const replays = ctes.map(
        (cte) => new Replay(x, () => (cte.modifies ? uncounted(cte.operator.run(x), x) : cte.operator.run(x))),
      )
      ctes.forEach((cte, i) => x.kept.set(cte.slot, replays[i]))
      try {
        yield* body.run(x)
        for (let i = 0; i < ctes.length; i++) if (ctes[i]!.modifies) yield* replays[i]!.finish()
      } finally {
        for (const replay of replays) replay.close()
      }
    },
  }
}

/** The rows a WITH's statement changes are not those of the command that the client hears of. */
function* uncounted(steps: Steps, x: Execution): Steps {
  try {
    for (;;) {
      const { affected } = x
      const { value, done } = steps.next()
      x.affected = affected
      if (done) return
      yield value
    }
  } finally {
    steps.return(undefined)
  }
}

export function compileCteScan(plan: Of<'cte-scan'>): Operator {
  return {
    *run(x): Steps {
      if (!plan.work) {
        const replay = x.kept.get(plan.slot)
        invariant(replay instanceof Replay, `CTE ${plan.name} is not there`)
        yield* replay.read(true)
        return
      }
      const store = x.kept.get(workKey(plan.slot))
      invariant(store instanceof RowStore, `the working table of ${plan.name} is not there`)
      const reader = store.reader(true)
      for (let batch = reader.next(); batch !== undefined; batch = reader.next()) yield batch
    },
  }
}

/** The base's rows, then the step over the rows of the round before, until a round gives none (none that is new, for UNION). */
export function compileRecursiveUnion(plan: Of<'recursive-union'>, env: CompileEnv): Operator {
  const base = env.compilePlan(plan.base, env)
  const step = env.compilePlan(plan.step, env)
  const types = plan.columns.map((column) => column.type)
  return {
    *run(x) {
      const seen = plan.distinct ? keyTable(env.catalog, types) : undefined
      let round = new RowStore(x)
      /** Hands out the new rows of a plan and keeps a copy of them for the next round. */
      function* collect(steps: Steps): Steps {
        for (const each of steps) {
          if (each instanceof Pause) {
            yield each
            continue
          }
          const fresh = seen === undefined ? each : each.filter((row) => isNew(seen, row))
          if (fresh.length === 0) continue
          round.add(fresh.map((row) => row.slice()))
          yield fresh
        }
      }
      const before = x.kept.get(workKey(plan.slot))
      yield* collect(base.run(x))
      while (round.count > 0) {
        x.context.checkInterrupts()
        if (x.sliceOver()) yield SLICE_OVER
        const work = round
        round = new RowStore(x)
        x.kept.set(workKey(plan.slot), work)
        yield* collect(step.run(x))
        work.close()
      }
      round.close()
      x.kept.set(workKey(plan.slot), before)
    },
  }
}

function isNew(seen: ReturnType<typeof keyTable>, row: readonly Value[]): boolean {
  const before = seen.size
  seen.add(row)
  return seen.size > before
}

/** Keeps its input's rows for the next time it runs in this execution, unless they hang on outer values that changed. */
export function compileMaterialize(plan: Of<'materialize'>, env: CompileEnv): Operator {
  const input = env.compilePlan(plan.input, env)
  const watched = [...freeSlots(plan.input)]
  if (watched.some((slot) => slot < 0)) return input
  interface Kept {
    readonly replay: Replay
    readonly seen: readonly (Value | undefined)[]
  }
  return {
    *run(x) {
      let kept = x.kept.get(plan) as Kept | undefined
      if (kept === undefined || watched.some((slot, i) => x.outer[slot] !== kept!.seen[i])) {
        kept?.replay.close()
        kept = { replay: new Replay(x, () => input.run(x)), seen: watched.map((slot) => x.outer[slot]) }
        x.kept.set(plan, kept)
      }
      yield* kept.replay.read(true)
    },
  }
}
