/**
 * Expressions as JavaScript source. A CodeWriter turns expressions into statements that end in simple variables, so that
 * what several expressions share (a column, the execution's bound functions) is written once, and a scan can put decoding,
 * filter and projection into one function:
 *
 *     const w = new CodeWriter(env, { column: (i) => `page.getInt32(at + ${4 * i})` })
 *     w.condition(filter, 'continue')        statements that leave by `continue` when the filter is not true
 *     const results = targets.map((t) => w.value(t))
 *     const body = w.lines.join('\n')         …of the row loop; w.setup goes before the loop, with `x` in sight
 *     new Function(...w.names, `return (x) => { ${w.setup} return (page, count) => { for (…) { ${body} } } }`)(...w.values)
 *
 * Constants, function bodies and types come in as bindings by position: nothing a user wrote becomes source text.
 * NULL is tested where it can be: variables known not to be NULL cost no test.
 */
import type { Expression } from '../plan/expression.ts'
import { helpers } from '../types/function.ts'
import { OID } from '../types/oids.ts'
import { RecordValue, type Row, type Value } from '../types/value.ts'
import { type DomainRules, domainRules, obey } from './domain.ts'
import type { ExpressionEnv } from './env.ts'
import { unplanned } from './evaluate.ts'
import { bindCall, bindNullSafe, type CallSite, callSite, notImplemented, siteOfCall } from './functions.ts'
import type { Execution } from './operator.ts'
import * as runtime from './runtime.ts'
import { sqlValue } from './sql-value.ts'
import { bindSubplan, subplanSite } from './subplan.ts'

export interface GenerateOptions {
  /** Source of an expression that reads column i of the input row; `row[i]` when absent. Read once a block. */
  readonly column?: (index: number) => string
  /** Columns that are never NULL: saves their tests. */
  readonly notNull?: (index: number) => boolean
  /**
   * Of a column whose bytes lie in a page, buffer `b` of `bytes` bytes: where (storedSource). Functions that can read them
   * there are given them so; what they need once a page is in `page`.
   */
  readonly stored?: (index: number) => Stored | undefined
}

interface Stored {
  readonly isNull: string | undefined
  readonly start: string
  readonly end: string
}

type Of<K extends Expression['kind']> = Extract<Expression, { kind: K }>

/** What generated code calls. */
const CALLED = {
  anyArray: runtime.anyArray,
  convertIo: runtime.convertIo,
  fetchJsonSubscript: runtime.fetchJsonSubscript,
  fetchSubscript: runtime.fetchSubscript,
  fieldOf: runtime.fieldOf,
  greatest: runtime.greatest,
  makeArray: runtime.makeArray,
  mapArray: runtime.mapArray,
  rowIsNull: runtime.rowIsNull,
  storeJsonSubscript: runtime.storeJsonSubscript,
  storeSubscript: runtime.storeSubscript,
}

type Check = (x: Execution) => (row: Row) => Value
const compiledChecks = new WeakMap<DomainRules, readonly Check[]>()

/** For values on their way into a domain: gives them back, or throws 23502 or 23514. */
export function bindDomain(rules: DomainRules, env: ExpressionEnv, x: Execution): (value: Value) => Value {
  let checks = compiledChecks.get(rules)
  if (checks === undefined) {
    checks = rules.checks.map(({ check }) => {
      const w = new CodeWriter(env)
      const result = w.value(check)
      return w.build(`(row) => { ${w.lines.join('\n')}\nreturn ${result} }`)
    })
    compiledChecks.set(rules, checks)
  }
  const bound = checks.map((check) => check(x))
  return (value) => obey(rules, value, x, (i) => bound[i]!([value]))
}

export class CodeWriter {
  /** Statements of one row. */
  lines: string[] = []
  /** Statements of one page, before its first row. */
  readonly page: string[] = []
  /** Statements of one execution, before its first row; `x` is the Execution. */
  readonly #setup: string[] = []
  readonly names: string[] = []
  readonly values: unknown[] = []
  readonly #env: ExpressionEnv
  readonly #column: (index: number) => string
  readonly #columnNotNull: (index: number) => boolean
  readonly #stored: ((index: number) => Stored | undefined) | undefined
  /** Columns already read, by enclosing block, innermost last. */
  readonly #blocks: Map<number, string>[] = [new Map()]
  readonly #notNull = new Set<string>(['true', 'false'])
  readonly #helpers = new Map<string, string>()
  readonly #once = new Map<string, string>()
  #caseTest: string[] = []
  #next = 0

  constructor(env: ExpressionEnv, options: GenerateOptions = {}) {
    this.#env = env
    this.#column = options.column ?? ((i) => `row[${i}]`)
    this.#columnNotNull = options.notNull ?? (() => false)
    this.#stored = options.stored
  }

  get setup(): string {
    return this.#setup.join('\n')
  }

  /** Makes a JavaScript value known to the code and returns its name. */
  bind(value: unknown, prefix = 'k'): string {
    const name = `${prefix}${this.#next++}`
    this.names.push(name)
    this.values.push(value)
    return name
  }

  /** Writes statements that compute the expression; returns the variable (or null, true, false) that holds it. */
  value(e: Expression): string {
    switch (e.kind) {
      case 'const':
        return this.#constant(e.value)
      case 'param':
        return this.#onceAnExecution(`x.parameters[${e.index - 1}] ?? null`)
      case 'outer':
        return this.#let(`${this.#onceAnExecution('x.outer')}[${e.slot}] ?? null`)
      case 'column':
        return this.#columnValue(e.index)
      case 'case-test': {
        const name = this.#caseTest[this.#caseTest.length - 1]
        return name ?? 'null'
      }
      case 'call': {
        const site = siteOfCall(this.#env.catalog, e)
        return (
          this.#storedCall(site, e.args) ??
          this.#call(
            site,
            e.args.map((arg) => this.value(arg)),
          )
        )
      }
      case 'relabel': {
        const arg = this.value(e.arg)
        const rules = domainRules(this.#env.catalog, e.type)
        if (rules === undefined) return arg
        const slot = this.fresh('b')
        this.#setup.push(`let ${slot}`)
        return this.#let(
          `(${slot} ??= ${this.#bound('bindDomain', bindDomain)}(${this.bind(rules)}, ${this.#bound('env', this.#env)}, x))(${arg})`,
        )
      }
      case 'coerce-io': {
        const from = this.bind(this.#env.catalog.type(e.arg.type))
        const to = this.bind(this.#env.catalog.type(e.type))
        const arg = this.value(e.arg)
        return this.#unlessNull([arg], `${this.#runtime('convertIo')}(${arg}, ${from}, ${to}, ${this.#context()})`)
      }
      case 'array-coerce':
        return this.#arrayCoerce(e)
      case 'and':
      case 'or':
        return this.#junction(e)
      case 'not': {
        const arg = this.value(e.arg)
        return this.#unlessNull([arg], `!${arg}`, true)
      }
      case 'is-null': {
        const arg = this.value(e.arg)
        if (e.argIsRow) return this.#solid(`${this.#runtime('rowIsNull')}(${arg}, ${e.negated})`)
        return this.#solid(`${arg} ${e.negated ? '!==' : '==='} null`)
      }
      case 'boolean-test': {
        const arg = this.value(e.arg)
        const wanted = e.test === 'unknown' ? 'null' : e.test
        return this.#solid(`${arg} ${e.negated ? '!==' : '==='} ${wanted}`)
      }
      case 'distinct':
        return this.#distinct(e)
      case 'nullif':
        return this.#nullIf(e)
      case 'case':
        return this.#case(e)
      case 'coalesce':
        return this.#coalesce(e)
      case 'min-max': {
        const args = e.args.map((arg) => this.value(arg))
        return this.#let(
          `${this.#runtime('greatest')}(${e.op === 'least'}, ${this.bind(this.#env.catalog.type(e.type))}, [${args.join(', ')}])`,
        )
      }
      case 'any-array':
        return this.#anyArray(e)
      case 'array':
        return this.#solid(
          `${this.#runtime('makeArray')}([${e.elements.map((element) => this.value(element)).join(', ')}], ${e.nested})`,
        )
      case 'row': {
        const fields = e.fields.map((field) => this.value(field))
        const types = this.bind(e.fields.map((field) => field.type))
        return this.#solid(
          `new ${this.#bound('RecordValue', RecordValue)}([${fields.join(', ')}], ${types}, ${this.bind(e.names)})`,
        )
      }
      case 'row-compare':
        return this.#rowCompare(e)
      case 'field':
        return this.#let(`${this.#runtime('fieldOf')}(${this.value(e.arg)}, ${e.index})`)
      case 'subscript':
        return this.#subscript(e)
      case 'subplan':
        return this.#subplan(e)
      case 'sql-value':
        return this.#let(`${this.#bound('sqlValue', sqlValue)}(${this.bind(e.op)}, ${e.typmod}, ${this.#context()})`)
      default:
        throw unplanned(e)
    }
  }

  /** Writes statements that do `otherwise` (a jump: continue, break label, return …) unless the expression is true. */
  condition(e: Expression, otherwise: string): void {
    if (e.kind === 'and') {
      for (const arg of e.args) this.condition(arg, otherwise)
      return
    }
    this.lines.push(`if (${this.value(e)} !== true) { ${otherwise} }`)
  }

  /** Writes what `inside` writes as a block of its own, with its own variables. */
  block(head: string, inside: () => void, tail = ''): void {
    this.lines.push(`${head} {`)
    this.#blocks.push(new Map())
    inside()
    this.#blocks.pop()
    this.lines.push(`} ${tail}`)
  }

  /** A fresh label or variable name. */
  fresh(prefix: string): string {
    return `${prefix}${this.#next++}`
  }

  isNotNull(name: string): boolean {
    return this.#notNull.has(name)
  }

  /** `function (names) { return (x) => { setup; return <source> } }`, called with the bindings. */
  build<F>(source: string): (x: Execution) => F {
    const factory = new Function(...this.names, `'use strict'; return (x) => { ${this.setup}\nreturn ${source} }`)
    return factory(...this.values) as (x: Execution) => F
  }

  #let(source: string): string {
    const name = this.fresh('t')
    this.lines.push(`const ${name} = ${source}`)
    return name
  }
  /** A variable that is not NULL. */
  #solid(source: string): string {
    const name = this.#let(source)
    this.#notNull.add(name)
    return name
  }
  #constant(value: Value): string {
    if (value === null) return 'null'
    if (value === true) return 'true'
    if (value === false) return 'false'
    const name = this.bind(value)
    this.#notNull.add(name)
    return name
  }
  /** A binding that is needed once. */
  #bound(name: string, value: unknown): string {
    let known = this.#helpers.get(name)
    if (known === undefined) this.#helpers.set(name, (known = this.bind(value, `${name}_`)))
    return known
  }
  #runtime(name: keyof typeof CALLED): string {
    return this.#bound(name, CALLED[name])
  }
  #onceAnExecution(source: string): string {
    let known = this.#once.get(source)
    if (known === undefined) {
      known = this.fresh('e')
      this.#setup.push(`const ${known} = ${source}`)
      this.#once.set(source, known)
    }
    return known
  }
  #context(): string {
    return this.#onceAnExecution('x.context')
  }

  #columnValue(index: number): string {
    for (const block of this.#blocks) {
      const known = block.get(index)
      if (known !== undefined) return known
    }
    const name = this.fresh('c')
    this.lines.push(`const ${name} = ${this.#column(index)}`)
    this.#blocks[this.#blocks.length - 1]!.set(index, name)
    if (this.#columnNotNull(index)) this.#notNull.add(name)
    return name
  }

  #unlessNull(args: readonly string[], source: string, solid = false): string {
    if (args.includes('null')) return 'null'
    const tests = args.filter((arg) => !this.#notNull.has(arg))
    if (tests.length === 0) return solid ? this.#solid(source) : this.#let(source)
    return this.#let(`${tests.map((arg) => `${arg} === null`).join(' || ')} ? null : ${source}`)
  }

  #call(site: CallSite, args: readonly string[]): string {
    const source = this.#callSource(site, args)
    return site.strict ? this.#unlessNull([...new Set(args)], source) : this.#let(source)
  }

  /** A call that reads one of its two arguments where it lies in the page; undefined: it is not such a one. */
  #storedCall(site: CallSite, args: readonly Expression[]): string | undefined {
    const [first, second] = args
    if (this.#stored === undefined || first === undefined || second === undefined || args.length !== 2) return undefined
    if (site.body?.kind !== 'scalar' || site.body.stored === undefined || !site.strict) return undefined
    const [column, other] = first.kind === 'column' ? [first, second] : [second, first]
    if (column.kind !== 'column' || (other.kind !== 'const' && other.kind !== 'param')) return undefined
    const place = this.#isRead(column.index) ? undefined : this.#stored(column.index)
    if (place === undefined) return undefined
    const { stage, run } = site.body.stored
    const value = this.value(other)
    if (value === 'null') return 'null'
    const page = `page_${this.#bound('stage', stage)}`
    const staged = `const ${page} = ${this.#bound('stage', stage)}(b, bytes)`
    if (!this.page.includes(staged)) this.page.push(staged)
    const tests = [place.isNull, this.#notNull.has(value) ? undefined : `${value} === null`].filter((test) => test)
    const read = this.#column(column.index)
    const call = this.#callSource(site, column === first ? [read, value] : [value, read])
    const source = `${this.bind(run, 'f')}(${page}, ${place.start}, ${place.end}, ${value}) ?? ${call}`
    return tests.length === 0 ? this.#solid(source) : this.#let(`${tests.join(' || ')} ? null : ${source}`)
  }

  #isRead(column: number): boolean {
    return this.#blocks.some((block) => block.has(column))
  }

  /** The call as a JavaScript expression over variables, without the test for NULL. */
  #callSource(site: CallSite, args: readonly string[]): string {
    const { body } = site
    if (body === undefined) {
      const fail = this.bind(() => {
        throw notImplemented(site.signature)
      })
      return `${fail}()`
    }
    if (body.kind === 'scalar') {
      if (body.js === undefined) return `${this.bind(body.run, 'f')}(${args.join(', ')})`
      // A template's helpers become bindings of their own: no look-up in a large object while running.
      const template = body.js(...args)
      return `(${template.replace(/\bh\.([A-Za-z_$][\w$]*)/g, (_, name: string) => this.#bound(`h_${name}`, helpers[name]))})`
    }
    const slot = this.fresh('b')
    this.#setup.push(`let ${slot}`)
    return `(${slot} ??= ${this.#bound('bindCall', bindCall)}(${this.bind(site)}, x.context))(${args.join(', ')})`
  }

  #junction(e: Of<'and' | 'or'>): string {
    const decided = String(e.kind === 'or')
    const result = this.fresh('t')
    const label = this.fresh('L')
    this.lines.push(`let ${result} = ${String(e.kind !== 'or')}`)
    this.block(`${label}:`, () => {
      for (const arg of e.args) {
        const value = this.value(arg)
        this.lines.push(`if (${value} === ${decided}) { ${result} = ${decided}; break ${label} }`)
        if (!this.#notNull.has(value)) this.lines.push(`if (${value} === null) ${result} = null`)
      }
    })
    return result
  }

  #distinct(e: Of<'distinct'>): string {
    const left = this.value(e.left)
    const right = this.value(e.right)
    const site = callSite(this.#env.catalog, e.function, [e.left, e.right], OID.bool)
    const result = this.#let(
      `${left} === null || ${right} === null ? ${left} !== ${right} : ${this.#callSource(site, [left, right])} !== true`,
    )
    this.#notNull.add(result)
    return result
  }

  #nullIf(e: Of<'nullif'>): string {
    const left = this.value(e.left)
    const right = this.value(e.right)
    const site = callSite(this.#env.catalog, e.function, [e.left, e.right], OID.bool)
    return this.#let(
      `${left} === null || ${right} === null ? ${left} : ${this.#callSource(site, [left, right])} === true ? null : ${left}`,
    )
  }

  #case(e: Of<'case'>): string {
    const result = this.fresh('t')
    const label = this.fresh('L')
    this.lines.push(`let ${result} = null`)
    this.block(`${label}:`, () => {
      const outside = this.#caseTest
      if (e.arg !== undefined) this.#caseTest = [...outside, this.value(e.arg)]
      for (const { when, then } of e.whens) {
        const holds = this.value(when)
        this.block(`if (${holds} === true)`, () => {
          this.lines.push(`${result} = ${this.value(then)}; break ${label}`)
        })
      }
      this.lines.push(`${result} = ${this.value(e.otherwise)}`)
      this.#caseTest = outside
    })
    return result
  }

  #coalesce(e: Of<'coalesce'>): string {
    const result = this.fresh('t')
    const label = this.fresh('L')
    this.lines.push(`let ${result} = null`)
    this.block(`${label}:`, () => {
      for (const arg of e.args) {
        const value = this.value(arg)
        this.lines.push(`if (${value} !== null) { ${result} = ${value}; break ${label} }`)
      }
    })
    return result
  }

  #arrayCoerce(e: Of<'array-coerce'>): string {
    const array = this.value(e.arg)
    const convert = this.fresh('t')
    const element = this.fresh('t')
    const outside = this.#caseTest
    this.#caseTest = [...outside, element]
    this.block(`const ${convert} = (${element}) =>`, () => {
      const value = this.value(e.element)
      this.lines.push(`return ${value}`)
    })
    this.#caseTest = outside
    return this.#let(`${this.#runtime('mapArray')}(${array}, ${convert})`)
  }

  #anyArray(e: Of<'any-array'>): string {
    const left = this.value(e.left)
    const { right } = e
    if (right.kind === 'const' && right.value !== null) {
      const array = runtime.asArray(right.value)
      const hashKey =
        array.elements.length >= runtime.ARRAY_HASH_MIN ? runtime.arrayHashKey(this.#env.catalog, e) : undefined
      if (hashKey !== undefined)
        return this.#let(`${this.bind(new runtime.ArraySet(array, hashKey))}.test(${left}, ${e.all})`)
    }
    const array = this.value(right)
    const element = { type: this.#env.catalog.typeRow(right.type)?.element ?? OID.unknown, typmod: -1 }
    const site = callSite(this.#env.catalog, e.function, [e.left, element], OID.bool)
    const a = this.fresh('t')
    const b = this.fresh('t')
    const compare = `(${a}, ${b}) => ${this.#callSource(site, [a, b])}`
    return this.#let(`${this.#runtime('anyArray')}(${compare}, ${site.strict}, ${e.all}, ${left}, ${array})`)
  }

  #rowCompare(e: Of<'row-compare'>): string {
    const result = this.fresh('t')
    const label = this.fresh('L')
    this.lines.push(`let ${result} = null`)
    const last = e.left.length - 1
    const nullSafe = (fn: (typeof e.functions)[number], i: number) => {
      const site = callSite(this.#env.catalog, fn, [e.left[i]!, e.right[i]!], OID.bool)
      const slot = this.fresh('b')
      this.#setup.push(`let ${slot}`)
      return `(${slot} ??= ${this.#bound('bindNullSafe', bindNullSafe)}(${this.bind(site)}, x.context))`
    }
    this.block(`${label}:`, () => {
      for (let i = 0; i <= last; i++) {
        const left = this.value(e.left[i]!)
        const right = this.value(e.right[i]!)
        this.lines.push(`if (${left} === null || ${right} === null) break ${label}`)
        const decide = `${result} = ${nullSafe(e.functions[i]!, i)}(${left}, ${right}); break ${label}`
        this.lines.push(
          i < last ? `if (${nullSafe(e.equals[i]!, i)}(${left}, ${right}) !== true) { ${decide} }` : decide,
        )
      }
    })
    return result
  }

  #subscript(e: Of<'subscript'>): string {
    const container = this.value(e.container)
    const result = this.fresh('t')
    const fetch = e.assign === undefined
    const json = e.containerType === OID.jsonb
    this.lines.push(`let ${result} = null`)
    this.block(fetch ? `if (${container} !== null)` : '', () => {
      const bounds = (list: readonly (Expression | undefined)[]) =>
        list.map((b) => (b === undefined ? 'undefined' : this.value(b))).join(', ')
      const upper = `[${bounds(e.upper)}]`
      const lower = `[${bounds(e.lower)}]`
      const assigned = e.assign === undefined ? '' : this.value(e.assign)
      const call = json
        ? fetch
          ? `${this.#runtime('fetchJsonSubscript')}(${container}, ${upper}, ${this.#context()})`
          : `${this.#runtime('storeJsonSubscript')}(${container}, ${upper}, ${assigned})`
        : fetch
          ? `${this.#runtime('fetchSubscript')}(${container}, ${e.slice}, ${lower}, ${upper})`
          : `${this.#runtime('storeSubscript')}(${container}, ${e.slice}, ${lower}, ${upper}, ${assigned})`
      this.lines.push(`${result} = ${call}`)
    })
    return result
  }

  #subplan(e: Of<'subplan'>): string {
    const site = this.bind(subplanSite(e, this.#env))
    const slot = this.fresh('s')
    this.#setup.push(`let ${slot}`)
    const outer = this.#onceAnExecution('x.outer')
    for (const param of e.params) this.lines.push(`${outer}[${param.slot}] = ${this.value(param.expression)}`)
    const left = e.link.kind === 'any' || e.link.kind === 'all' ? e.link.left.map((part) => this.value(part)) : []
    return this.#let(`(${slot} ??= ${this.#bound('bindSubplan', bindSubplan)}(${site}, x))([${left.join(', ')}])`)
  }
}
