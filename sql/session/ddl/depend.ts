/**
 * What goes when something is dropped. PostgreSQL's walk over pg_depend: from an object to all that need it, those that
 * are parts of another object (internal) taking the whole of it with them; dependents are listed before what they need.
 *
 *     drop table p      constraint f_a_fkey on f (normal: needs CASCADE) · index p_pkey, type p (auto, internal: go silently)
 */
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import { CLASS } from '../../catalog/classes.ts'
import { type Dependency, dependencies, type ObjectAddress } from '../../catalog/virtual-depend.ts'
import { sqlError } from '../../types/error.ts'
import { EXTENSION, MEMBERS } from '../../types/vector/catalog-rows.ts'
import { type Ddl, describe, notice } from './context.ts'

export type { ObjectAddress } from '../../catalog/virtual-depend.ts'

export interface DropItem {
  readonly address: ObjectAddress
  /** Why it goes: named by the statement, a part or companion of something that goes, or only by CASCADE. */
  original: boolean
  silent: boolean
  /** What it depends on, in the walk. */
  readonly through: ObjectAddress | undefined
}

export interface Graph {
  /** By class and object: what depends on it or on a part of it. */
  readonly dependents: ReadonlyMap<string, readonly Dependency[]>
  /** What it is a part of. */
  readonly owners: ReadonlyMap<string, readonly ObjectAddress[]>
  /** A default's column. */
  readonly defaults: ReadonlyMap<Oid, ObjectAddress>
}

const whole = (a: ObjectAddress): string => `${a.classOid} ${a.object}`
const exact = (a: ObjectAddress): string => `${a.classOid} ${a.object} ${a.sub}`

export function dependencyGraph(ddl: Ddl): Graph {
  const dependents = new Map<string, Dependency[]>()
  const owners = new Map<string, ObjectAddress[]>()
  const defaults = new Map<Oid, ObjectAddress>()
  const generated = new Set<Oid>()
  for (const given of [...dependencies(ddl.editor), ...vectorUses(ddl)]) {
    let edge = given
    if (edge.from.classOid === CLASS.attrdef) {
      if (!defaults.has(edge.from.object)) {
        defaults.set(edge.from.object, edge.to)
        if (edge.type === 'i') generated.add(edge.from.object)
      } else if (generated.has(edge.from.object)) edge = { ...edge, type: 'n' }
    }
    const list = dependents.get(whole(edge.to))
    if (list === undefined) dependents.set(whole(edge.to), [edge])
    else list.push(edge)
    if (edge.type === 'i' || edge.type === 'e')
      owners.set(exact(edge.from), [...(owners.get(exact(edge.from)) ?? []), edge.to])
  }
  return { dependents, owners, defaults }
}

/** The vector types are built in, but they are the extension's: columns of them and indexes by their classes need it. */
function* vectorUses(ddl: Ddl): Iterable<Dependency> {
  const extension = [...ddl.editor.ownAll('extension')].find((each) => each.name === EXTENSION.name)
  if (extension === undefined) return
  const to: ObjectAddress = { classOid: CLASS.extension, object: extension.oid, sub: 0 }
  const members = new Map<Oid, ObjectAddress>()
  for (const [classOid, member] of MEMBERS) {
    if (classOid !== CLASS.type && classOid !== CLASS.opclass) continue
    const address = { classOid: oid(classOid), object: oid(member), sub: 0 }
    members.set(oid(member), address)
    yield { from: address, to, type: 'a' }
    const array = classOid === CLASS.type ? ddl.editor.typeRow(oid(member))?.array : undefined
    if (array === undefined) continue
    const arrayAddress = { ...address, object: array }
    members.set(array, arrayAddress)
    yield { from: arrayAddress, to: address, type: 'i' }
  }
  for (const row of ddl.editor.ownAll('relation')) {
    for (const key of row.index?.keys ?? []) {
      const opclass = members.get(key.opclass)
      if (opclass !== undefined)
        yield { from: { classOid: CLASS.relation, object: row.oid, sub: 0 }, to: opclass, type: 'n' }
    }
    if (row.kind === 'i') continue
    for (const column of row.columns) {
      const type = column.dropped ? undefined : members.get(column.type)
      if (type !== undefined)
        yield { from: { classOid: CLASS.relation, object: row.oid, sub: column.number }, to: type, type: 'n' }
    }
  }
}

interface Frame {
  readonly address: ObjectAddress
  readonly below: Frame | undefined
}

const covers = (a: ObjectAddress, b: ObjectAddress): boolean =>
  a.classOid === b.classOid && a.object === b.object && (a.sub === b.sub || a.sub === 0)
const onStack = (frame: Frame | undefined, address: ObjectAddress): boolean => {
  for (let f = frame; f !== undefined; f = f.below) if (covers(f.address, address)) return true
  return false
}

/** Everything that goes, dependents first. */
export function dropList(ddl: Ddl, graph: Graph, targets: readonly ObjectAddress[]): DropItem[] {
  const list: DropItem[] = []
  const visit = (
    address: ObjectAddress,
    flags: { original: boolean; silent: boolean },
    stack: Frame | undefined,
  ): void => {
    if (onStack(stack, address)) return
    const known = list.find((item) => covers(item.address, address))
    if (known !== undefined) {
      known.original ||= flags.original
      known.silent ||= flags.silent
      return
    }
    for (const owner of graph.owners.get(exact(address)) ?? []) {
      if (stack === undefined) {
        if (targets.some((target) => covers(target, owner))) return
        throw sqlError(
          '2BP01',
          `cannot drop ${describe(ddl, address.classOid, address.object, address.sub)} because ${describe(ddl, owner.classOid, owner.object, owner.sub)} requires it`,
          {
            hint: `You can drop ${describe(ddl, owner.classOid, owner.object, owner.sub)} instead.`,
          },
        )
      }
      if (onStack(stack, owner)) continue
      visit(owner, { original: false, silent: flags.silent }, stack)
      // The whole has taken its part with it.
      if (list.some((item) => covers(item.address, address))) return
    }
    const frame: Frame = { address, below: stack }
    const edges = (graph.dependents.get(whole(address)) ?? []).filter(
      (edge) =>
        (address.sub === 0 || edge.to.sub === address.sub) &&
        !(edge.from.classOid === address.classOid && edge.from.object === address.object && address.sub === 0),
    )
    const sorted = [...edges].sort(
      (a, b) => b.from.object - a.from.object || a.from.classOid - b.from.classOid || a.from.sub - b.from.sub,
    )
    for (const edge of sorted) visit(edge.from, { original: false, silent: edge.type !== 'n' }, frame)
    const again = list.find((item) => covers(item.address, address))
    if (again !== undefined) return
    list.push({ address, original: flags.original, silent: flags.silent, through: stack?.address })
  }
  for (const target of targets) visit(target, { original: true, silent: false }, undefined)
  return list
}

const isWhole = (other: ObjectAddress, part: ObjectAddress): boolean =>
  other.sub === 0 && other.object === part.object && other.classOid === part.classOid

const REPORTED_MAX = 100

/** 2BP01 when something else would go and CASCADE was not said; else the NOTICE of what goes with it. */
export function reportDrop(
  ddl: Ddl,
  list: readonly DropItem[],
  targets: readonly ObjectAddress[],
  cascade: boolean,
): void {
  const lines: string[] = []
  let more = 0
  for (let i = list.length - 1; i >= 0; i--) {
    const { address, original, silent, through } = list[i]!
    if (original || silent) continue
    // A column goes with its table.
    if (address.sub !== 0 && list.some((other) => isWhole(other.address, address))) continue
    if (lines.length >= REPORTED_MAX) {
      more++
      continue
    }
    const text = describe(ddl, address.classOid, address.object, address.sub)
    lines.push(
      cascade
        ? `drop cascades to ${text}`
        : `${text} depends on ${describe(ddl, through!.classOid, through!.object, through!.sub)}`,
    )
  }
  if (lines.length === 0) return
  const detail =
    more === 0
      ? lines.join('\n')
      : `${lines.join('\n')}\nand ${more} other object${more === 1 ? '' : 's'} (see server log for list)`
  if (!cascade) {
    const only = targets.length === 1 ? targets[0]! : undefined
    throw sqlError(
      '2BP01',
      only === undefined
        ? 'cannot drop desired object(s) because other objects depend on them'
        : `cannot drop ${describe(ddl, only.classOid, only.object, only.sub)} because other objects depend on it`,
      {
        detail,
        hint: 'Use DROP ... CASCADE to drop the dependent objects too.',
      },
    )
  }
  if (lines.length + more > 1) notice(ddl, `drop cascades to ${lines.length + more} other objects`, '00000', { detail })
  else notice(ddl, lines[0]!)
}
