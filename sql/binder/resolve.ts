/**
 * Which function or operator a call means. The steps are the manual's chapter 10.2 and 10.3: an exact match wins; else the
 * candidates that the arguments can be implicitly converted to; of those the one with most exact matches, then most
 * preferred types, then by the category of the unknown literals.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { FunctionRow, OperatorRow } from '../catalog/catalog.ts'
import type { Display, Expression } from '../plan/expression.ts'
import { OID } from '../types/oids.ts'
import { canCoerce, coerceType, isPolymorphic, resolvePolymorphic } from './coerce.ts'
import {
  arrayTypeOf,
  type BindContext,
  baseType,
  elementType,
  errorAt,
  pathRank,
  requireNamespace,
  typeName,
} from './context.ts'

interface Candidate {
  readonly args: readonly Oid[]
}

/** Steps 4.a to 4.f: the best of several candidates that all accept the arguments. */
function selectCandidate<C extends Candidate>(
  b: BindContext,
  inputs: readonly Oid[],
  candidates: readonly C[],
): C | undefined {
  const bases = inputs.map((type) => (type === OID.unknown ? type : baseType(b, type)))
  const keepBest = (list: readonly C[], score: (candidate: C) => number): readonly C[] => {
    let best = -1
    let kept: C[] = []
    for (const candidate of list) {
      const points = score(candidate)
      if (points > best) {
        best = points
        kept = [candidate]
      } else if (points === best) kept.push(candidate)
    }
    return kept
  }
  const count = (candidate: C, test: (have: Oid, want: Oid) => boolean): number => {
    let n = 0
    for (let i = 0; i < bases.length; i++) if (bases[i] !== OID.unknown && test(bases[i]!, candidate.args[i]!)) n++
    return n
  }
  let left = keepBest(candidates, (candidate) => count(candidate, (have, want) => have === want))
  if (left.length === 1) return left[0]
  const category = (type: Oid) => b.catalog.typeRow(type)?.category
  const preferred = (type: Oid) => b.catalog.typeRow(type)?.preferred === true
  left = keepBest(left, (candidate) =>
    count(candidate, (have, want) => have === want || (category(have) === category(want) && preferred(want))),
  )
  if (left.length === 1) return left[0]
  const unknowns = bases.filter((type) => type === OID.unknown).length
  if (unknowns === 0) return undefined
  // The category of each unknown argument: string if any candidate takes a string, else the one all agree on.
  let resolved = true
  const slots: { category: string; preferred: boolean }[] = []
  for (let i = 0; i < bases.length && resolved; i++) {
    if (bases[i] !== OID.unknown) continue
    let chosen: string | undefined
    let hasPreferred = false
    let conflict = false
    for (const candidate of left) {
      const here = category(candidate.args[i]!) ?? 'X'
      const prefer = preferred(candidate.args[i]!)
      if (chosen === undefined) {
        chosen = here
        hasPreferred = prefer
      } else if (here === chosen) hasPreferred ||= prefer
      else if (here === 'S') {
        chosen = 'S'
        hasPreferred = prefer
        conflict = false
      } else if (chosen !== 'S') conflict = true
    }
    if (conflict) resolved = false
    slots[i] = { category: chosen!, preferred: hasPreferred }
  }
  if (resolved) {
    const fits = left.filter((candidate) =>
      bases.every((type, i) => {
        if (type !== OID.unknown) return true
        const want = candidate.args[i]!
        return category(want) === slots[i]!.category && (!slots[i]!.preferred || preferred(want))
      }),
    )
    if (fits.length > 0) left = fits
    if (left.length === 1) return left[0]
  }
  // All known arguments alike: assume the unknown ones are of that type.
  if (unknowns < bases.length) {
    const known = bases.find((type) => type !== OID.unknown)!
    if (bases.every((type) => type === OID.unknown || type === known)) {
      const fits = left.filter((candidate) =>
        canCoerce(
          b,
          bases.map(() => known),
          candidate.args,
          'implicit',
        ),
      )
      if (fits.length === 1) return fits[0]
    }
  }
  return undefined
}

const matching = <C extends Candidate>(b: BindContext, inputs: readonly Oid[], candidates: readonly C[]): C[] =>
  candidates.filter((candidate) => canCoerce(b, inputs, candidate.args, 'implicit'))

// ── Operators ────────────────────────────────────────────────────────────────────────────────────────────────────

export interface OperatorName {
  readonly schema: string | undefined
  readonly name: string
}

interface OperatorCandidate extends Candidate {
  readonly row: OperatorRow
}

function operatorsNamed(b: BindContext, op: OperatorName, kind: 'b' | 'l', location?: number): OperatorCandidate[] {
  const namespace = op.schema === undefined ? undefined : requireNamespace(b, op.schema, location)
  const found = b.catalog
    .operatorsByName(op.name)
    .filter(
      (row) =>
        row.kind === kind && (namespace === undefined ? pathRank(b, row.namespace) >= 0 : row.namespace === namespace),
    )
  return found.map((row) => ({ row, args: kind === 'b' ? [row.left, row.right] : [row.right] }))
}

export function findBinaryOperator(
  b: BindContext,
  op: OperatorName,
  left: Oid,
  right: Oid,
  location?: number,
): OperatorRow | undefined {
  const candidates = operatorsNamed(b, op, 'b', location)
  const l = left === OID.unknown && right !== OID.unknown ? right : left
  const r = right === OID.unknown && left !== OID.unknown ? left : right
  const exact = (x: Oid, y: Oid) => candidates.find((candidate) => candidate.args[0] === x && candidate.args[1] === y)
  const found =
    exact(left, right) ??
    exact(l, r) ??
    (l === r && baseType(b, l) !== l ? exact(baseType(b, l), baseType(b, l)) : undefined)
  if (found !== undefined) return found.row
  const fits = matching(b, [left, right], candidates)
  if (fits.length === 1) return fits[0]!.row
  return selectCandidate(b, [left, right], fits)?.row
}

function findPrefixOperator(b: BindContext, op: OperatorName, right: Oid, location?: number): OperatorRow | undefined {
  const candidates = operatorsNamed(b, op, 'l', location)
  const exact = candidates.find((candidate) => candidate.args[0] === right)
  if (exact !== undefined) return exact.row
  const fits = matching(b, [right], candidates)
  if (fits.length === 1) return fits[0]!.row
  return selectCandidate(b, [right], fits)?.row
}

export function operatorMissing(
  b: BindContext,
  op: OperatorName,
  left: Oid | undefined,
  right: Oid,
  location?: number,
) {
  const name = op.schema === undefined ? op.name : `${op.schema}.${op.name}`
  const shown =
    left === undefined ? `${name} ${typeName(b, right)}` : `${typeName(b, left)} ${name} ${typeName(b, right)}`
  const candidates = operatorsNamed(b, op, left === undefined ? 'l' : 'b', location)
  const inputs = left === undefined ? [right] : [left, right]
  if (matching(b, inputs, candidates).length > 1) {
    return errorAt(b, '42725', `operator is not unique: ${shown}`, location, {
      hint: 'Could not choose a best candidate operator. You might need to add explicit type casts.',
    })
  }
  return errorAt(b, '42883', `operator does not exist: ${shown}`, location, {
    hint:
      left === undefined
        ? 'No operator matches the given name and argument type. You might need to add an explicit type cast.'
        : 'No operator matches the given name and argument types. You might need to add explicit type casts.',
  })
}

/** Builds the call: arguments converted, result type settled. */
export function operatorCall(
  b: BindContext,
  row: OperatorRow,
  args: readonly Expression[],
  location?: number,
): Expression {
  const declared = row.kind === 'b' ? [row.left, row.right] : [row.right]
  const { args: types, result } = settle(b, args, declared, row.result)
  const fn = b.catalog.function(row.function)
  if (fn === undefined) throw errorAt(b, '42883', `operator is only a shell: ${row.name}`, location)
  const converted = args.map((arg, i) => coerceType(b, arg, types[i]!, -1, 'implicit', 'implicit'))
  return {
    kind: 'call',
    function: row.function,
    args: converted,
    display: 'operator',
    operator: row.oid,
    variadic: false,
    setReturning: fn.returnsSet,
    type: result,
    typmod: -1,
  }
}

export function bindBinary(
  b: BindContext,
  op: OperatorName,
  left: Expression,
  right: Expression,
  location?: number,
): Expression {
  const row = findBinaryOperator(b, op, left.type, right.type, location)
  if (row === undefined) throw operatorMissing(b, op, left.type, right.type, location)
  return operatorCall(b, row, [left, right], location)
}

export function bindPrefix(b: BindContext, op: OperatorName, right: Expression, location?: number): Expression {
  const row = findPrefixOperator(b, op, right.type, location)
  if (row === undefined) throw operatorMissing(b, op, undefined, right.type, location)
  return operatorCall(b, row, [right], location)
}

/** Polymorphic declared types made concrete for these arguments. */
function settle(
  b: BindContext,
  args: readonly Expression[],
  declared: readonly Oid[],
  result: Oid,
): { args: readonly Oid[]; result: Oid } {
  // Nothing says what a polymorphic result would be: the function is one of a pseudo-type's own (anyrange_in).
  if (!declared.some(isPolymorphic)) return { args: declared, result }
  const settled = resolvePolymorphic(
    b,
    args.map((arg) => arg.type),
    declared,
    result,
  )
  if (settled === undefined || (settled.result === 0 && result !== 0)) {
    throw errorAt(b, '42804', 'could not determine polymorphic type because input has type unknown')
  }
  return settled
}

// ── Functions ────────────────────────────────────────────────────────────────────────────────────────────────────

interface FunctionCandidate extends Candidate {
  readonly row: FunctionRow
  /** The variadic array spread into elements. */
  readonly spread: boolean
  readonly defaults: number
  /** For named notation: position of each parameter's argument, -1 for a default. */
  readonly order: readonly number[] | undefined
}

export type FunctionMatch =
  | { readonly kind: 'found'; readonly row: FunctionRow; readonly candidate: FunctionCandidate }
  | { readonly kind: 'ambiguous' | 'missing' }

function functionsNamed(
  b: BindContext,
  schema: string | undefined,
  name: string,
  count: number,
  names: readonly (string | undefined)[],
  variadicCall: boolean,
  location?: number,
): FunctionCandidate[] {
  const namespace = schema === undefined ? undefined : requireNamespace(b, schema, location)
  const found: FunctionCandidate[] = []
  for (const row of b.catalog.functionsByName(name)) {
    if (namespace === undefined ? pathRank(b, row.namespace) < 0 : row.namespace !== namespace) continue
    const declared = row.argTypes
    const named = names.some((each) => each !== undefined)
    if (named) {
      const order = matchNames(row, names)
      if (order !== undefined)
        found.push({
          row,
          args: declared.filter((_, i) => order[i]! >= 0),
          spread: false,
          defaults: order.filter((i) => i < 0).length,
          order,
        })
      continue
    }
    // A variadic function is called by its elements, unless VARIADIC is said.
    const spreads = row.variadic !== 0 && row.variadic !== OID.any && !variadicCall
    if (declared.length === count && !spreads)
      found.push({ row, args: declared, spread: false, defaults: 0, order: undefined })
    else if (declared.length > count && declared.length - count <= row.argDefaults && row.variadic === 0) {
      found.push({
        row,
        args: declared.slice(0, count),
        spread: false,
        defaults: declared.length - count,
        order: undefined,
      })
    }
    if (row.variadic !== 0 && !variadicCall && row.variadic !== OID.any && count >= declared.length) {
      const fixed = declared.slice(0, declared.length - 1)
      found.push({
        row,
        args: [...fixed, ...Array.from({ length: count - fixed.length }, () => row.variadic)],
        spread: true,
        defaults: 0,
        order: undefined,
      })
    } else if (row.variadic === OID.any && !variadicCall && count > declared.length) {
      found.push({
        row,
        args: [...declared, ...Array.from({ length: count - declared.length }, () => OID.any)],
        spread: false,
        defaults: 0,
        order: undefined,
      })
    }
  }
  return dropShadowed(b, found)
}

/** Of candidates with the same arguments the one earlier on the path, and the non-variadic one, is seen. */
function dropShadowed(b: BindContext, found: readonly FunctionCandidate[]): FunctionCandidate[] {
  const bySignature = new Map<string, FunctionCandidate>()
  for (const candidate of found) {
    const signature = candidate.args.join(',')
    const other = bySignature.get(signature)
    if (other === undefined || rank(b, candidate) < rank(b, other)) bySignature.set(signature, candidate)
  }
  return [...bySignature.values()]
}
const rank = (b: BindContext, candidate: FunctionCandidate): number =>
  pathRank(b, candidate.row.namespace) * 4 + (candidate.spread ? 2 : 0) + (candidate.defaults > 0 ? 1 : 0)

function matchNames(row: FunctionRow, names: readonly (string | undefined)[]): number[] | undefined {
  const parameters = inputNames(row)
  const order = row.argTypes.map(() => -1)
  for (let i = 0; i < names.length; i++) {
    const name = names[i]
    const at = name === undefined ? i : parameters.indexOf(name)
    if (at < 0 || at >= order.length || order[at] !== -1) return undefined
    order[at] = i
  }
  const required = row.argTypes.length - row.argDefaults
  return order.every((position, i) => position >= 0 || i >= required) ? order : undefined
}

const inputNames = (row: FunctionRow): readonly (string | undefined)[] => {
  if (row.argNames === undefined) return []
  if (row.argModes === undefined) return row.argNames
  return row.argNames.filter((_, i) => 'ibv'.includes(row.argModes![i]!))
}

/** Finds the function for these argument types (manual 10.3). */
export function findFunction(
  b: BindContext,
  schema: string | undefined,
  name: string,
  types: readonly Oid[],
  names: readonly (string | undefined)[] = [],
  variadicCall = false,
  location?: number,
): FunctionMatch {
  const candidates = functionsNamed(b, schema, name, types.length, names, variadicCall, location)
  const inputs = (candidate: FunctionCandidate): readonly Oid[] =>
    candidate.order === undefined ? types : candidate.order.filter((at) => at >= 0).map((at) => types[at]!)
  const exact = candidates.find((candidate) => inputs(candidate).every((type, i) => type === candidate.args[i]))
  if (exact !== undefined) return { kind: 'found', row: exact.row, candidate: exact }
  const fits = candidates.filter((candidate) => canCoerce(b, inputs(candidate), candidate.args, 'implicit'))
  if (fits.length === 0) return { kind: 'missing' }
  const best = fits.length === 1 ? fits[0] : selectCandidate(b, inputs(fits[0]!), fits)
  return best === undefined ? { kind: 'ambiguous' } : { kind: 'found', row: best.row, candidate: best }
}

/** The call's arguments in the function's order, converted, with defaults and variadic arrays made; and the result type. */
export function functionArguments(
  b: BindContext,
  candidate: FunctionCandidate,
  args: readonly Expression[],
  bindDefault: (text: string, type: Oid) => Expression,
): { readonly args: readonly Expression[]; readonly type: Oid } {
  const { row } = candidate
  const ordered =
    candidate.order === undefined ? [...args] : candidate.order.map((at) => (at < 0 ? undefined : args[at]!))
  const given = ordered.filter((arg) => arg !== undefined)
  const declared =
    candidate.order === undefined ? candidate.args : row.argTypes.filter((_, i) => candidate.order![i]! >= 0)
  const { args: types, result } = settle(b, given, declared, row.returnType)
  let next = 0
  const converted = ordered.map((arg) => arg && coerceType(b, arg, types[next++]!, -1, 'implicit', 'implicit'))
  const first = row.argTypes.length - (row.defaults?.length ?? 0)
  const complete: Expression[] = []
  const total = candidate.spread || row.variadic === OID.any ? converted.length : row.argTypes.length
  for (let i = 0; i < total; i++) {
    const arg = converted[i]
    if (arg !== undefined) complete.push(arg)
    else {
      const fallback = row.defaults![i - first]!
      complete.push(typeof fallback === 'string' ? bindDefault(fallback, row.argTypes[i]!) : fallback)
    }
  }
  if (!candidate.spread) return { args: complete, type: result }
  const fixed = row.argTypes.length - 1
  const element = types[fixed]!
  const rest = complete.slice(fixed)
  const nested = elementType(b, element) !== 0
  const array: Expression = {
    kind: 'array',
    elements: rest,
    elementType: element,
    nested,
    type: nested ? element : arrayTypeOf(b, element),
    typmod: -1,
  }
  return { args: [...complete.slice(0, fixed), array], type: result }
}

export function functionMissing(
  b: BindContext,
  schema: string | undefined,
  name: string,
  types: readonly Oid[],
  names: readonly (string | undefined)[],
  match: 'ambiguous' | 'missing',
  location?: number,
  misplacedOrder = false,
) {
  const shown = types.map((type, i) => (names[i] === undefined ? '' : `${names[i]} => `) + typeName(b, type)).join(', ')
  const full = `${schema === undefined ? '' : `${schema}.`}${name}(${shown})`
  if (match === 'ambiguous') {
    return errorAt(b, '42725', `function ${full} is not unique`, location, {
      hint: `Could not choose a best candidate function. You might need to add explicit type casts.`,
    })
  }
  return errorAt(b, '42883', `function ${full} does not exist`, location, {
    hint: misplacedOrder
      ? 'No aggregate function matches the given name and argument types. Perhaps you misplaced ORDER BY; ORDER BY must appear after all regular arguments of the aggregate.'
      : 'No function matches the given name and argument types. You might need to add explicit type casts.',
  })
}

export const displayOf = (format: string | undefined): Display =>
  format === 'COERCE_EXPLICIT_CAST' ? 'cast' : format === 'COERCE_SQL_SYNTAX' ? 'syntax' : 'function'
