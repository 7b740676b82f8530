/**
 * Random queries over a small schema, from a seed. An expression is asked for by type, so that nearly all queries are
 * valid; what has no single answer (LIMIT without a whole order, division by what may be zero) is not written.
 *
 *     random(seed) ─► Queries.select() ─► FROM ─► WHERE ─► GROUP BY ─► targets ─► ORDER BY … LIMIT
 *                                          each may hold subqueries that read the columns of every level around
 */
export type SqlType = 'int4' | 'int8' | 'numeric' | 'text' | 'bool' | 'date' | 'int4[]'
const TYPES: readonly SqlType[] = ['int4', 'int8', 'numeric', 'text', 'bool', 'date', 'int4[]']

export interface Column {
  readonly sql: string
  readonly type: SqlType
}
export interface Table {
  readonly name: string
  readonly columns: readonly { readonly name: string; readonly type: SqlType }[]
}
/** What an expression may name: this level's columns, and those of the levels around. */
interface Names {
  readonly columns: readonly Column[]
  readonly outer: Names | undefined
  /** Columns that may stand inside aggregates here; undefined: no aggregates here. */
  readonly aggregated: readonly Column[] | undefined
  readonly windows: boolean
}

/** mulberry32: a small generator whose whole state is one number. */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

export interface Generated {
  readonly sql: string
  readonly columns: readonly SqlType[]
  readonly ordered: boolean
}

export class Queries {
  readonly #next: () => number
  readonly #tables: readonly Table[]
  #aliases = 0
  #ctes: Table[] = []
  constructor(next: () => number, tables: readonly Table[]) {
    this.#next = next
    this.#tables = tables
  }

  chance(p: number): boolean {
    return this.#next() < p
  }
  int(below: number): number {
    return Math.floor(this.#next() * below)
  }
  pick<T>(from: readonly T[]): T {
    return from[this.int(from.length)]!
  }
  alias(prefix: string): string {
    return `${prefix}${++this.#aliases}`
  }

  // ── Constants and expressions ──────────────────────────────────────────────────────────────────────────────────

  constant(type: SqlType): string {
    if (this.chance(0.12))
      return this.chance(0.5) ? `null::${type}` : type === 'bool' ? '(null)' : `cast(null as ${type})`
    switch (type) {
      case 'int4':
        return `${this.int(7) - 1}`
      case 'int8':
        return `${this.int(7) - 1}::int8`
      case 'numeric':
        return `${this.pick(['0', '1.0', '2.50', '1', '-1.5'])}::numeric`
      case 'text':
        return this.pick(["'a'", "'b'", "'ab'", "''", "'c'::text", "'%'"]) + (this.chance(0.7) ? '::text' : '::text')
      case 'bool':
        return this.pick(['true', 'false', 'true'])
      case 'date':
        return this.pick(["date '2020-01-01'", "date '2020-02-29'", "date '2021-12-31'"])
      case 'int4[]':
        return this.pick(['array[1,2]', 'array[2,null,3]', "'{}'::int4[]", 'array[1]'])
    }
  }

  #column(type: SqlType, names: Names): string | undefined {
    let level: Names | undefined = names
    while (level !== undefined) {
      if (level.outer === undefined || this.chance(0.72)) {
        const fitting = level.columns.filter((column) => column.type === type)
        if (fitting.length > 0) return this.pick(fitting).sql
      }
      level = level.outer
    }
    const own = names.columns.filter((column) => column.type === type)
    return own.length > 0 ? this.pick(own).sql : undefined
  }

  leaf(type: SqlType, names: Names): string {
    if (names.aggregated !== undefined && this.chance(0.35)) {
      const aggregate = this.#aggregate(type, names)
      if (aggregate !== undefined) return aggregate
    }
    const column = this.chance(0.8) ? this.#column(type, names) : undefined
    return column ?? this.constant(type)
  }

  #aggregate(type: SqlType, names: Names): string | undefined {
    const inside: Names = { columns: names.aggregated!, outer: names.outer, aggregated: undefined, windows: false }
    const arg = (t: SqlType): string => this.expression(t, 1, inside)
    const filter = this.chance(0.15) ? ` filter (where ${this.expression('bool', 1, inside)})` : ''
    const distinct = this.chance(0.15) ? 'distinct ' : ''
    const call = this.pick(AGGREGATES[type] ?? [''])
    switch (call) {
      case '':
        return undefined
      case 'count(*)':
        return `count(*)${filter}`
      case 'count':
        return `count(${distinct}${arg(this.pick(TYPES))})${filter}`
      case 'sum4':
        return `sum(${distinct}${arg('int4')})${filter}`
      case 'sum8':
        return `sum(${distinct}${arg('int8')})${filter}`
      case 'avg':
        return `round(avg(${distinct}${arg(this.pick(['int4', 'numeric']))})${filter}, 4)`
      case 'sumn':
        return `sum(${distinct}${arg('numeric')})${filter}`
      case 'bool_and':
      case 'bool_or':
      case 'every':
        return `${call}(${arg('bool')})${filter}`
      case 'string_agg': {
        const e = arg('text')
        return `string_agg(${e}, ',' order by ${e}${this.chance(0.3) ? ' desc' : ''})${filter}`
      }
      case 'array_agg': {
        const e = arg('int4')
        return `array_agg(${distinct}${e} order by ${e}${this.chance(0.3) ? ' nulls first' : ''})${filter}`
      }
      case 'percentile_disc':
        return `percentile_disc(0.5) within group (order by ${arg('int4')})${filter}`
      default:
        return `${call}(${arg(type)})${filter}`
    }
  }

  expression(type: SqlType, depth: number, names: Names): string {
    if (depth <= 0 || this.chance(0.25)) return this.leaf(type, names)
    const d = depth - 1
    const e = (t: SqlType): string => this.expression(t, d, names)
    if (names.windows && this.chance(0.12)) {
      const window = this.#window(type, names)
      if (window !== undefined) return window
    }
    if (this.chance(0.06))
      return `case when ${e('bool')} then ${e(type)}${this.chance(0.4) ? ` when ${e('bool')} then ${e(type)}` : ''}${this.chance(0.7) ? ` else ${e(type)}` : ''} end`
    if (this.chance(0.03)) {
      const t = this.pick(TYPES)
      return `case ${e(t)} when ${e(t)} then ${e(type)} else ${e(type)} end`
    }
    if (this.chance(0.05)) return `coalesce(${e(type)}, ${e(type)})`
    if (this.chance(0.03)) return `nullif(${e(type)}, ${e(type)})`
    if (this.chance(0.03) && type !== 'bool') return `${this.pick(['greatest', 'least'])}(${e(type)}, ${e(type)})`
    if (this.chance(0.08)) return this.#scalarSubquery(type, names, d)
    switch (type) {
      case 'int4':
        return this.pick([
          () => `(${e('int4')} ${this.pick(['+', '-', '*'])} ${e('int4')})`,
          () => `(${e('int4')} ${this.pick(['/', '%'])} ${this.pick(['2', '3'])})`,
          () => `length(${e('text')})`,
          () => `abs(${e('int4')})`,
          () => `(- ${e('int4')})`,
          () => `(${e('date')} - date '2020-01-01')`,
          () => `cardinality(${e('int4[]')})`,
          () => `(${e('int4[]')})[${this.pick(['1', '2', 'greatest(1, 2)'])}]`,
          () => `(${e('bool')})::int4`,
          () => `extract(year from ${e('date')})::int4`,
        ])()
      case 'int8':
        return this.pick([
          () => `(${e('int8')} ${this.pick(['+', '-'])} ${e(this.pick(['int4', 'int8']))})`,
          () => `(${e('int4')})::int8`,
          () => `(${e('int8')} * 2)`,
        ])()
      case 'numeric':
        return this.pick([
          () => `(${e('numeric')} ${this.pick(['+', '-', '*'])} ${e(this.pick(['int4', 'numeric', 'int8']))})`,
          () => `round(${e('numeric')}, 1)`,
          () => `cast(${e('int4')} as numeric)`,
          () => `(${e('numeric')} / 4)`,
        ])()
      case 'text':
        return this.pick([
          () => `(${e('text')} || ${e('text')})`,
          () => `(${e('text')} || ${e('int4')})`,
          () => `upper(${e('text')})`,
          () => `substr(${e('text')}, 1, 1)`,
          () => `(${e(this.pick(['int4', 'numeric', 'bool', 'date', 'int8', 'int4[]']))})::text`,
          () => `concat(${e('text')}, ${e('int4')})`,
          () => `lpad(${e('text')}, 2, 'x')`,
        ])()
      case 'date':
        return this.pick([() => `(${e('date')} + ${e('int4')})`, () => `(${e('date')} - 1)`])()
      case 'int4[]':
        return this.pick([
          () => `array[${e('int4')}, ${e('int4')}]`,
          () => `(${e('int4[]')} || ${e('int4')})`,
          () => `array(select ${this.#correlated('int4', names)} order by 1)`,
          () => `(${e('int4[]')})[1:2]`,
        ])()
      case 'bool':
        return this.#condition(d, names)
    }
  }

  #correlated(type: SqlType, names: Names): string {
    const { from, columns } = this.#from(1, {
      columns: names.columns,
      outer: names.outer,
      aggregated: undefined,
      windows: false,
    })
    const inner: Names = { columns, outer: names, aggregated: undefined, windows: false }
    return `${this.expression(type, 1, inner)} from ${from}${this.chance(0.7) ? ` where ${this.expression('bool', 1, inner)}` : ''}`
  }

  #condition(d: number, names: Names): string {
    const e = (t: SqlType): string => this.expression(t, d, names)
    const compare = (): string => {
      const t = this.pick(TYPES)
      if (this.chance(0.1)) return `${e('int4')} ${this.pick(COMPARISONS)} ${e('int8')}`
      if (this.chance(0.1)) return `${e('numeric')} ${this.pick(COMPARISONS)} ${e('int4')}`
      return `${e(t)} ${this.pick(COMPARISONS)} ${e(t)}`
    }
    const subquery = (t: SqlType): string => `(select ${this.#correlated(t, names)})`
    return this.pick<() => string>([
      () => `(${compare()})`,
      () => `(${compare()})`,
      () => `(${compare()})`,
      () => `(${e('bool')} ${this.pick(['and', 'or'])} ${e('bool')})`,
      () => `(not ${e('bool')})`,
      () => `(${e(this.pick(TYPES))} is ${this.pick(['null', 'not null'])})`,
      () => `(${e('bool')} is ${this.pick(['true', 'not true', 'false', 'not false', 'unknown', 'not unknown'])})`,
      () => {
        const t = this.pick(TYPES)
        return `(${e(t)} is ${this.pick(['', 'not '])}distinct from ${e(t)})`
      },
      () => {
        const t = this.pick(TYPES)
        return `(${e(t)} ${this.pick(['in', 'not in'])} (${e(t)}, ${e(t)}, ${this.constant(t)}))`
      },
      () =>
        `(${e('int4')} ${this.pick(['between', 'not between', 'between symmetric'])} ${e('int4')} and ${e('int4')})`,
      () => `(${e('text')} ${this.pick(['like', 'not like', 'ilike', '~'])} ${this.pick(["'a%'", "'_'", "'%b%'"])})`,
      () =>
        `(${this.chance(0.5) ? 'not ' : ''}exists (select ${this.chance(0.5) ? '1' : '*'} from ${this.#correlated('int4', names).replace(/^.*? from /s, '')}))`,
      () => this.#existsIn(names),
      () => {
        const t = this.pick(TYPES)
        return `(${e(t)} ${this.pick(['in', 'not in'])} ${subquery(t)})`
      },
      () => {
        const t = this.pick(TYPES)
        return `(${e(t)} ${this.pick(COMPARISONS)} ${this.pick(['any', 'all', 'some'])} ${subquery(t)})`
      },
      () => `((${e('int4')}, ${e('text')}) ${this.pick(['=', '<>', '<', '>='])} (${e('int4')}, ${e('text')}))`,
      () => `(${e('int4')} ${this.pick(COMPARISONS)} ${this.pick(['any', 'all'])} (${e('int4[]')}))`,
      () => `((${e('int4')}, ${e('text')}) ${this.pick(['in', 'not in'])} (select ${this.#pair(names)}))`,
    ])()
  }

  #existsIn(names: Names): string {
    const inner = this.chance(0.5)
      ? this.select(1, { ...names, aggregated: undefined, windows: false }).sql
      : `select 1 from ${this.#from(1, { ...names, aggregated: undefined, windows: false }).from}`
    return `(${this.chance(0.5) ? 'not ' : ''}exists (${inner}))`
  }

  #pair(names: Names): string {
    const { from, columns } = this.#from(1, {
      columns: names.columns,
      outer: names.outer,
      aggregated: undefined,
      windows: false,
    })
    const inner: Names = { columns, outer: names, aggregated: undefined, windows: false }
    return `${this.expression('int4', 1, inner)}, ${this.expression('text', 1, inner)} from ${from}${this.chance(0.5) ? ` where ${this.expression('bool', 1, inner)}` : ''}`
  }

  /** One row at most: an aggregate, or the first of an order. */
  #scalarSubquery(type: SqlType, names: Names, depth: number): string {
    const { from, columns } = this.#from(1, {
      columns: names.columns,
      outer: names.outer,
      aggregated: undefined,
      windows: false,
    })
    const inner: Names = { columns, outer: names, aggregated: undefined, windows: false }
    const where = this.chance(0.7) ? ` where ${this.expression('bool', Math.max(1, depth), inner)}` : ''
    if (this.chance(0.5)) {
      const aggregate = this.#aggregate(type, { ...inner, aggregated: columns })
      if (aggregate !== undefined) return `(select ${aggregate} from ${from}${where})`
    }
    const e = this.expression(type, 1, inner)
    return `(select ${e} from ${from}${where} order by 1 ${this.pick(['', 'desc', 'nulls first'])} limit 1)`
  }

  #window(type: SqlType, names: Names): string | undefined {
    const inside: Names = { ...names, windows: false }
    const e = (t: SqlType): string => this.expression(t, 1, inside)
    const partition = this.chance(0.5) ? `partition by ${e(this.pick(TYPES))} ` : ''
    // A whole order, so that every row has one place.
    const all = names.columns.map((column) => column.sql).concat(names.aggregated === undefined ? [] : [])
    const total = `order by ${[...all].map((sql) => `${sql}${this.chance(0.2) ? ' desc' : ''}`).join(', ')}`
    const some = `order by ${e(this.pick(['int4', 'text', 'numeric']))}`
    const bound = (): string =>
      this.pick(['unbounded preceding', '1 preceding', 'current row', '1 following', '2 following'])
    const rank = [
      'unbounded preceding',
      '1 preceding',
      'current row',
      '1 following',
      '2 following',
      'unbounded following',
    ]
    const frame = (mode: string): string => {
      const start = bound()
      const end = this.pick(rank.slice(Math.max(1, rank.indexOf(start))))
      return ` ${mode} between ${start} and ${end}${this.chance(0.2) ? this.pick([' exclude current row', ' exclude ties', ' exclude group']) : ''}`
    }
    const usable = all.length > 0 && names.aggregated === undefined
    switch (type) {
      case 'int8': {
        if (usable && this.chance(0.3)) return `row_number() over (${partition}${total})`
        if (this.chance(0.4)) return `${this.pick(['rank', 'dense_rank'])}() over (${partition}${some})`
        if (usable && this.chance(0.5)) return `sum(${e('int4')}) over (${partition}${total}${frame('rows')})`
        if (this.chance(0.5))
          return `count(*) over (${partition}order by ${e('int4')}${frame(this.pick(['range', 'groups']))})`
        return `count(${e('text')}) over (${partition}${this.chance(0.5) ? some : ''})`
      }
      case 'int4':
      case 'text':
      case 'date':
        if (usable && this.chance(0.6))
          return `${this.pick(['lag', 'lead', 'first_value', 'last_value'])}(${e(type)}) over (${partition}${total})`
        return type === 'text' ? `max(${e(type)}) over (${partition}${some})` : `min(${e(type)}) over (${partition})`
      case 'numeric':
        return `sum(${e('numeric')}) over (${partition}${some})`
      default:
        return undefined
    }
  }

  // ── FROM ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #source(
    depth: number,
    around: Names,
    lateral: readonly Column[],
  ): { readonly sql: string; readonly columns: readonly Column[]; readonly names: readonly string[] } {
    const roll = this.#next()
    const face = (alias: string, table: Table['columns']) => ({
      columns: table.map((column) => ({ sql: `${alias}.${column.name}`, type: column.type })),
      names: table.map((column) => column.name),
    })
    if (depth > 0 && roll < 0.16) {
      const alias = this.alias('s')
      const open = lateral.length > 0 && this.chance(0.5)
      const outer: Names | undefined = open
        ? { columns: lateral, outer: around.outer, aggregated: undefined, windows: false }
        : around.outer
      const query = this.select(depth - 1, outer)
      const columns = query.columns.map((type, i) => ({ name: `c${i + 1}`, type }))
      return {
        sql: `${open ? 'lateral ' : ''}(${query.sql}) as ${alias}(${columns.map((column) => column.name).join(', ')})`,
        ...face(alias, columns),
      }
    }
    if (roll < 0.22) {
      const alias = this.alias('v')
      const types = Array.from({ length: 1 + this.int(3) }, () => this.pick(TYPES))
      const rows = Array.from(
        { length: 1 + this.int(3) },
        () => `(${types.map((type) => this.constant(type)).join(', ')})`,
      )
      const columns = types.map((type, i) => ({ name: `c${i + 1}`, type }))
      return {
        sql: `(values ${rows.join(', ')}) as ${alias}(${columns.map((column) => column.name).join(', ')})`,
        ...face(alias, columns),
      }
    }
    if (roll < 0.27) {
      const alias = this.alias('g')
      const bound = lateral.find((column) => column.type === 'int4')
      const columns = [{ name: 'n', type: 'int4' as const }]
      return {
        sql: `generate_series(1, ${bound !== undefined && this.chance(0.5) ? `least(${bound.sql}, 4)` : '3'}) as ${alias}(n)`,
        ...face(alias, columns),
      }
    }
    if (roll < 0.3) {
      const alias = this.alias('u')
      const bound = lateral.find((column) => column.type === 'int4[]')
      const columns = [
        { name: 'e', type: 'int4' as const },
        { name: 'o', type: 'int8' as const },
      ]
      return {
        sql: `unnest(${bound !== undefined && this.chance(0.7) ? bound.sql : 'array[1,2,null]'}) with ordinality as ${alias}(e, o)`,
        ...face(alias, columns),
      }
    }
    const table = this.pick([...this.#tables, ...this.#ctes])
    const alias = this.alias('t')
    return { sql: `${table.name} as ${alias}`, ...face(alias, table.columns) }
  }

  #from(depth: number, around: Names): { readonly from: string; readonly columns: readonly Column[] } {
    let { sql, columns, names } = this.#source(depth, around, [])
    const outer = around.outer ?? undefined
    const joins = this.chance(0.45) ? 0 : this.chance(0.6) ? 1 : 2 + this.int(2)
    for (let i = 0; i < joins; i++) {
      const kind = this.pick(['join', 'join', 'left join', 'left join', 'right join', 'full join', 'cross join', ','])
      const lateralOk = kind === 'join' || kind === 'left join' || kind === 'cross join' || kind === ','
      let right = this.#source(depth, around, lateralOk ? columns : [])
      if (depth > 0 && this.chance(0.12)) {
        // A join of its own on the right side.
        const other = this.#source(depth, around, [])
        const both: Names = {
          columns: [...right.columns, ...other.columns],
          outer,
          aggregated: undefined,
          windows: false,
        }
        right = {
          sql: `(${right.sql} ${this.pick(['join', 'left join'])} ${other.sql} on ${this.#joinCondition(right.columns, other.columns, both)})`,
          columns: both.columns,
          names: [...right.names, ...other.names],
        }
      }
      const all = [...columns, ...right.columns]
      const common = names.filter(
        (name) =>
          right.names.includes(name) &&
          names.indexOf(name) === names.lastIndexOf(name) &&
          right.names.indexOf(name) === right.names.lastIndexOf(name),
      )
      const fits = common.filter((name) => typeNamed(columns, name) === typeNamed(right.columns, name))
      if (kind === ',') sql = `${sql}, ${right.sql}`
      else if (kind === 'cross join') sql = `${sql} cross join ${right.sql}`
      else if (fits.length > 0 && this.chance(0.25)) {
        sql = `${sql} ${kind} ${right.sql} using (${fits.slice(0, 1 + this.int(2)).join(', ')})`
      } else {
        const both: Names = { columns: all, outer, aggregated: undefined, windows: false }
        // FULL JOIN needs a condition that can be hashed or merged.
        const on =
          kind === 'full join'
            ? this.#equality(columns, right.columns)
            : this.#joinCondition(columns, right.columns, both)
        sql = `${sql} ${kind} ${right.sql} on ${on}`
      }
      columns = all
      names = [...names, ...right.names]
      if (kind === ',') sql = sql.replace(/^/, '')
    }
    return { from: sql, columns }
  }

  #equality(left: readonly Column[], right: readonly Column[]): string {
    const pairs = left.flatMap((l) => right.filter((r) => r.type === l.type).map((r) => `${l.sql} = ${r.sql}`))
    return pairs.length === 0 ? 'true' : this.pick(pairs)
  }
  #joinCondition(left: readonly Column[], right: readonly Column[], both: Names): string {
    if (this.chance(0.7))
      return this.#equality(left, right) + (this.chance(0.25) ? ` and ${this.expression('bool', 1, both)}` : '')
    return this.expression('bool', 1, both)
  }

  // ── SELECT ─────────────────────────────────────────────────────────────────────────────────────────────────────

  select(depth: number, outer: Names | undefined, wanted?: readonly SqlType[]): Generated {
    if (depth > 0 && this.chance(0.1)) return this.#setOperation(depth, outer, wanted)
    if (depth > 0 && outer === undefined && this.chance(0.12)) return this.#withQuery(depth, outer, wanted)
    const { from, columns } = this.#from(depth, { columns: [], outer, aggregated: undefined, windows: false })
    const plain: Names = { columns, outer, aggregated: undefined, windows: false }
    let where = this.chance(0.6) ? ` where ${this.expression('bool', 2, plain)}` : ''
    const types = wanted ?? Array.from({ length: 1 + this.int(4) }, () => this.pick(TYPES))
    let group = ''
    let having = ''
    let names: Names = { ...plain, windows: this.chance(0.3) }
    if (this.chance(0.28)) {
      const keys: Column[] = []
      for (let i = this.int(4); i > 0 && columns.length > 0; i--) {
        const column = this.pick(columns)
        if (this.chance(0.75)) keys.push(column)
        else {
          const type = this.pick(TYPES)
          keys.push({
            sql: this.expression(type, 1, { columns, outer: undefined, aggregated: undefined, windows: false }),
            type,
          })
        }
      }
      // An expression key cannot be seen inside subqueries; constants as keys are positions.
      const usable = keys.filter(
        (key, i) => columns.includes(key) && keys.findIndex((other) => other.sql === key.sql) === i,
      )
      if (usable.length > 0) {
        const list = usable.map((key) => key.sql)
        group = ` group by ${this.chance(0.75) ? list.join(', ') : this.pick([`rollup (${list.join(', ')})`, `cube (${list.join(', ')})`, `grouping sets ((${list.join(', ')}), (${list[0]!}), ())`, `grouping sets (${list.map((each) => `(${each})`).join(', ')})`])}`
      }
      names = { columns: usable, outer, aggregated: columns, windows: false }
      if (this.chance(0.3)) having = ` having ${this.expression('bool', 2, names)}`
    }
    const targets = types.map((type, i) => `${this.expression(type, 2, names)} as x${i + 1}`)
    const grouped = group !== '' || having !== '' || names.aggregated !== undefined
    const distinct = !grouped && this.chance(0.12) ? 'distinct ' : ''
    let tail = ''
    let ordered = false
    if (this.chance(0.3)) {
      const keys = types.map((_, i) => `${i + 1}${this.pick(['', ' desc', ' nulls first', ' desc nulls last', ''])}`)
      tail = ` order by ${keys.join(', ')}`
      ordered = true
      if (this.chance(0.5)) tail += ` limit ${this.int(5)}`
      if (this.chance(0.25)) tail += ` offset ${this.int(3)}`
    } else if (!grouped && distinct === '' && columns.length > 0 && this.chance(0.06)) {
      const on = this.pick(columns).sql
      return {
        sql: `select distinct on (${on}) ${targets.join(', ')} from ${from}${where} order by ${[on, ...types.map((_, i) => `${i + 1}`)].join(', ')}`,
        columns: types,
        ordered: false,
      }
    }
    if (
      names.aggregated !== undefined &&
      group === '' &&
      !/\b(count|sum|avg|min|max|bool_and|bool_or|every|string_agg|array_agg|percentile_disc)\(/.test(
        targets.join(' ') + having,
      ) &&
      having === ''
    )
      where += ''
    return {
      sql: `select ${distinct}${targets.join(', ')} from ${from}${where}${group}${having}${tail}`,
      columns: types,
      ordered,
    }
  }

  #setOperation(depth: number, outer: Names | undefined, wanted: readonly SqlType[] | undefined): Generated {
    const types = wanted ?? Array.from({ length: 1 + this.int(3) }, () => this.pick(TYPES))
    const arm = (): string => `(${this.select(depth - 1, outer, types).sql})`
    let sql = arm()
    for (let i = 1 + this.int(2); i > 0; i--)
      sql = `${this.chance(0.3) ? `(${sql})` : sql} ${this.pick(['union', 'union all', 'intersect', 'except', 'except all', 'intersect all', 'union all'])} ${arm()}`
    if (this.chance(0.4)) {
      const limit = this.chance(0.5) ? ` limit ${1 + this.int(4)}` : ''
      return {
        sql: `${sql} order by ${types.map((_, i) => `${i + 1}${this.chance(0.3) ? ' desc' : ''}`).join(', ')}${limit}`,
        columns: types,
        ordered: true,
      }
    }
    return { sql, columns: types, ordered: false }
  }

  #withQuery(depth: number, outer: Names | undefined, wanted: readonly SqlType[] | undefined): Generated {
    const before = this.#ctes
    const parts: string[] = []
    let recursive = false
    for (let i = 1 + this.int(2); i > 0; i--) {
      const name = this.alias('w')
      if (this.chance(0.25)) {
        recursive = true
        parts.push(
          `${name}(n, p) as (${this.pick(['select 1, null::text', "values (1, 'a'::text), (2, null)"])} union ${this.chance(0.5) ? 'all ' : ''}select n + 1, ${this.pick(["p || 'x'", 'p', "coalesce(p, 'z')"])} from ${name} where n < ${2 + this.int(4)})`,
        )
        this.#ctes = [
          ...this.#ctes,
          {
            name,
            columns: [
              { name: 'n', type: 'int4' },
              { name: 'p', type: 'text' },
            ],
          },
        ]
        continue
      }
      const query = this.select(depth - 1, outer)
      const columns = query.columns.map((type, at) => ({ name: `d${at + 1}`, type }))
      parts.push(
        `${name}(${columns.map((column) => column.name).join(', ')}) as ${this.pick(['', '', 'materialized ', 'not materialized '])}(${query.sql})`,
      )
      this.#ctes = [...this.#ctes, { name, columns }]
    }
    const body = this.select(depth - 1, outer, wanted)
    this.#ctes = before
    return {
      ...body,
      sql: `with ${recursive ? 'recursive ' : ''}${parts.join(', ')} ${/^with\b/.test(body.sql) ? `select * from (${body.sql}) as z` : body.sql}`,
    }
  }

  // ── Changes ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** INSERT, UPDATE or DELETE of a table whose first column is its int4 primary key; RETURNING all of it. */
  change(): Generated {
    const table = this.pick(this.#tables)
    const types = table.columns.map((column) => column.type)
    const key = table.columns[0]!.name
    const alias = this.alias('m')
    const own: Column[] = table.columns.map((column) => ({ sql: `${alias}.${column.name}`, type: column.type }))
    const returning = ` returning ${own.map((column) => column.sql).join(', ')}`
    const roll = this.#next()
    if (roll < 0.35) {
      const rows = Array.from(
        { length: 1 + this.int(3) },
        () =>
          `(${table.columns.map((column, i) => (i === 0 ? `${this.int(12)}` : this.chance(0.1) ? 'default' : this.expression(column.type, 1, { columns: [], outer: undefined, aggregated: undefined, windows: false }))).join(', ')})`,
      )
      const source = this.chance(0.6) ? `values ${rows.join(', ')}` : this.#insertSelect(types)
      const excluded: Names = {
        columns: [...own, ...table.columns.map((column) => ({ sql: `excluded.${column.name}`, type: column.type }))],
        outer: undefined,
        aggregated: undefined,
        windows: false,
      }
      const set = table.columns.slice(1).filter(() => this.chance(0.5))
      const conflict = this.chance(0.5)
        ? ' on conflict do nothing'
        : set.length === 0
          ? ` on conflict (${key}) do nothing`
          : ` on conflict (${key}) do update set ${set.map((column) => `${column.name} = ${this.expression(column.type, 1, excluded)}`).join(', ')}${this.chance(0.4) ? ` where ${this.expression('bool', 1, excluded)}` : ''}`
      return {
        sql: `insert into ${table.name} as ${alias} ${source}${this.chance(0.8) ? conflict : ''}${returning}`,
        columns: types,
        ordered: false,
      }
    }
    const names: Names = { columns: own, outer: undefined, aggregated: undefined, windows: false }
    const set = table.columns.slice(1).filter(() => this.chance(0.5))
    const where = (n: Names): string => (this.chance(0.85) ? ` where ${this.expression('bool', 2, n)}` : '')
    if (roll < 0.75 && set.length > 0) {
      // FROM with one match a row at most: joined by a key.
      if (this.chance(0.3)) {
        const other = this.pick(this.#tables)
        const o = this.alias('f')
        const both: Names = {
          ...names,
          columns: [...own, ...other.columns.map((column) => ({ sql: `${o}.${column.name}`, type: column.type }))],
        }
        return {
          sql: `update ${table.name} as ${alias} set ${set.map((column) => `${column.name} = ${this.expression(column.type, 1, both)}`).join(', ')} from ${other.name} as ${o} where ${o}.${other.columns[0]!.name} = ${alias}.${key}${this.chance(0.5) ? ` and ${this.expression('bool', 1, both)}` : ''}${returning}`,
          columns: types,
          ordered: false,
        }
      }
      return {
        sql: `update ${table.name} as ${alias} set ${set.map((column) => `${column.name} = ${this.expression(column.type, 2, names)}`).join(', ')}${where(names)}${returning}`,
        columns: types,
        ordered: false,
      }
    }
    if (this.chance(0.3)) {
      const other = this.pick(this.#tables)
      const o = this.alias('f')
      const both: Names = {
        ...names,
        columns: [...own, ...other.columns.map((column) => ({ sql: `${o}.${column.name}`, type: column.type }))],
      }
      return {
        sql: `delete from ${table.name} as ${alias} using ${other.name} as ${o} where ${this.expression('bool', 2, both)}${returning}`,
        columns: types,
        ordered: false,
      }
    }
    return { sql: `delete from ${table.name} as ${alias}${where(names)}${returning}`, columns: types, ordered: false }
  }

  #insertSelect(types: readonly SqlType[]): string {
    const { from, columns } = this.#from(1, { columns: [], outer: undefined, aggregated: undefined, windows: false })
    const names: Names = { columns, outer: undefined, aggregated: undefined, windows: false }
    const values = types.map((type, i) =>
      i === 0
        ? `(row_number() over (order by ${columns.map((column) => column.sql).join(', ')}))::int4 + ${this.int(10)}`
        : this.expression(type, 1, names),
    )
    return `select ${values.join(', ')} from ${from}`
  }
}

const COMPARISONS = ['=', '=', '<>', '<', '<=', '>', '>='] as const
const AGGREGATES: Partial<Record<SqlType, readonly string[]>> = {
  int4: ['min', 'max', 'percentile_disc'],
  int8: ['count(*)', 'count', 'sum4', 'count(*)', 'min', 'max'],
  numeric: ['avg', 'sumn', 'sum8', 'min', 'max'],
  text: ['min', 'max', 'string_agg'],
  bool: ['bool_and', 'bool_or', 'every'],
  date: ['min', 'max'],
  'int4[]': ['array_agg', 'max'],
}
const typeNamed = (columns: readonly Column[], name: string): SqlType | undefined =>
  columns.find((column) => column.sql.endsWith(`.${name}`))?.type
