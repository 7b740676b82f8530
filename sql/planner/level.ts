/**
 * Planning one query level: what it shares with the whole statement (slots, numbers), what it takes from the enclosing
 * level, and how its expressions are lowered to positions.
 *
 *   select (select max(b.y) from b where b.x = a.x) from a
 *                                             │
 *   inner level: a.x (level 1) → outer slot 0; outer level: SubPlan with params [slot 0 := a.x]
 */
import type { Oid } from '../../storage/keys/brand.ts'
import { InvariantError, invariant } from '../../storage/keys/invariant.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import type { Plan } from '../plan/plan.ts'
import type { Query } from '../plan/query.ts'
import { mapChildren, raiseExpression, sameExpression } from '../plan/walk.ts'
import type { Peek } from './estimate.ts'
import type { Layout } from './layout.ts'

/** What the planner asks of the store: sizes of tables that were never analyzed. */
export interface TableSizes {
  /** Approximate live rows. */
  rows(table: Oid): number
}

export interface Shared {
  readonly catalog: Catalog
  readonly sizes: TableSizes
  outerSlots: number
  cteSlots: number
  subplans: number
  readonly reads: Set<Oid>
  readonly writes: Set<Oid>
  /** Values of parameters that are known already. */
  readonly peek: Peek
  /** Constant folding with the session's context. */
  fold(e: Expression): Expression
  /** False switches a join method off (enable_hashjoin …). */
  enabled(name: string): boolean
}

/** Plans a query below another one; handed down, so that the stages of a SELECT need not import their beginning. */
export type QueryPlanner = (level: Level, query: Query) => Plan

export type CteSource =
  | { readonly kind: 'slot'; readonly slot: number; readonly rows: number }
  | { readonly kind: 'inline'; readonly query: Query }

export interface OuterParam {
  readonly slot: number
  /** Over the enclosing level's relations. */
  readonly expression: Expression
}

interface PlannedSubquery {
  readonly child: Level
  readonly plan: Plan
  /** Its number in EXPLAIN, given when first asked for. */
  number(): number
}

export class Level {
  readonly parent: Level | undefined
  readonly shared: Shared
  /** What this level reads of the enclosing one. */
  readonly params: OuterParam[] = []
  readonly ctes = new Map<string, CteSource>()
  readonly #planSubquery: (level: Level, query: Query) => Plan
  readonly #planned = new Map<Query, PlannedSubquery>()

  constructor(parent: Level | undefined, shared: Shared, planSubquery: (level: Level, query: Query) => Plan) {
    this.parent = parent
    this.shared = shared
    this.#planSubquery = planSubquery
  }

  child(): Level {
    return new Level(this, this.shared, this.#planSubquery)
  }

  /**
   * The plan of a subquery, made once however many join orders try it: its slots are filled from wherever it is run, and
   * only one of the places is in the final plan.
   */
  planOnce(query: Query): PlannedSubquery {
    let known = this.#planned.get(query)
    if (known === undefined) {
      const child = this.child()
      const plan = this.#planSubquery(child, query)
      let number = 0
      known = { child, plan, number: () => (number ||= ++this.shared.subplans) }
      this.#planned.set(query, known)
    }
    return known
  }

  cte(name: string, level: number): CteSource {
    let at: Level | undefined = this
    for (let i = 0; i < level; i++) at = at?.parent
    const found = at?.ctes.get(name)
    invariant(found !== undefined, `no plan for the WITH query ${name}`)
    return found
  }

  newSlot(): number {
    return this.shared.outerSlots++
  }

  /** The slot in which the enclosing level hands down this value (an expression whose level is one too high for us). */
  #outer(e: Expression & { level: number }): Expression {
    const expression = raiseExpression(e, -1)
    let param = this.params.find((each) => sameExpression(each.expression, expression))
    if (param === undefined) {
      param = { slot: this.newSlot(), expression }
      this.params.push(param)
    }
    return {
      kind: 'outer',
      slot: param.slot,
      type: e.type,
      typmod: e.typmod,
      ...(e.collation === undefined ? {} : { collation: e.collation }),
    }
  }

  /**
   * The expression over positions of `layout`. `missing` gives what stands for a var of this level that is not in the row
   * (a nested loop's outer value).
   */
  lower(e: Expression, layout: Layout, missing?: (e: Expression) => Expression): Expression {
    const visit = (node: Expression): Expression => {
      const at = layout.find(node)
      if (at >= 0)
        return {
          kind: 'column',
          index: at,
          type: node.type,
          typmod: node.typmod,
          ...(node.collation === undefined ? {} : { collation: node.collation }),
        }
      switch (node.kind) {
        case 'var':
          if (node.level > 0) return this.#outer(node)
          if (missing !== undefined) return missing(node)
          throw new InvariantError(`column ${node.relation}.${node.column} is not in the row`)
        case 'aggregate':
          if (node.level > 0) return this.#outer(node)
          break
        case 'grouping':
          if (node.level > 0) return this.#outer(node)
          break
        case 'subquery': {
          const { child, plan, number } = this.planOnce(node.query)
          const link =
            node.link.kind === 'any' || node.link.kind === 'all'
              ? { ...node.link, left: node.link.left.map(visit) }
              : node.link
          const params = child.params.map((param) => ({ slot: param.slot, expression: visit(param.expression) }))
          return {
            kind: 'subplan',
            link,
            plan,
            params,
            type: node.type,
            typmod: node.typmod,
            number: number(),
          }
        }
        default:
          break
      }
      return mapChildren(node, visit)
    }
    return visit(e)
  }
}
