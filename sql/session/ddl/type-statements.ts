/** CREATE TYPE … AS ENUM, AS (…), ALTER TYPE of enums. */
import type { Node } from '@pgsql/types'
import { findType, namesOf, typeName } from '../../binder/binder.ts'
import type { ColumnRow, RelationRow, TypeRow } from '../../catalog/catalog.ts'
import { sqlError } from '../../types/error.ts'
import { draftColumn } from './columns.ts'
import {
  binder,
  creationNamespace,
  type Ddl,
  defineDdl,
  lockName,
  notice,
  qualifiedName,
  relationNamespace,
  requireOwner,
  roleOf,
  update,
} from './context.ts'
import { freeTypeName, putEnumType, putRowType } from './types.ts'

const LABEL_BYTES_MAX = 63
function checkLabel(label: string): void {
  if (label === '' || Buffer.byteLength(label) > LABEL_BYTES_MAX)
    throw sqlError('42602', `invalid enum label "${label}"`, { detail: 'Labels must be 63 bytes or less.' })
}

export function registerTypes(): void {
  defineDdl('CreateEnumStmt', 'CREATE TYPE', async (ddl, node) => {
    const { schema, name } = qualifiedName(node.typeName ?? [])
    const namespace = creationNamespace(ddl, schema)
    await lockName(ddl, 'type', { name, namespace: namespace.oid })
    freeTypeName(ddl, namespace.oid, name, false)
    const labels = namesOf(node.vals)
    const type = ddl.editor.nextOid()
    labels.forEach((label, i) => {
      checkLabel(label)
      if (labels.indexOf(label) !== i) {
        throw sqlError('23505', 'duplicate key value violates unique constraint "pg_enum_typid_label_index"', {
          detail: `Key (enumtypid, enumlabel)=(${type}, ${label}) already exists.`,
          schema: 'pg_catalog',
          table: 'pg_enum',
          constraint: 'pg_enum_typid_label_index',
        })
      }
    })
    putEnumType(ddl, { oid: type, name, namespace: namespace.oid, owner: roleOf(ddl) }, labels)
    return 'CREATE TYPE'
  })

  defineDdl('AlterEnumStmt', 'ALTER TYPE', (ddl, node) => {
    const row = requireType(ddl, node.typeName)
    if (row.kind !== 'e') throw sqlError('42809', `${typeName(binder(ddl), row.oid)} is not an enum`)
    requireOwner(ddl, row.owner, 'type', typeName(binder(ddl), row.oid))
    const labels = [...(row.enumLabels ?? [])].sort((a, b) => a.order - b.order)
    const value = node.newVal!
    checkLabel(value)
    if (node.oldVal !== undefined && node.oldVal !== '') {
      const old = labels.find((each) => each.label === node.oldVal)
      if (old === undefined) throw sqlError('22023', `"${node.oldVal}" is not an existing enum label`)
      if (labels.some((each) => each.label === value)) throw sqlError('42710', `enum label "${value}" already exists`)
      ddl.editor.put('type', {
        ...row,
        enumLabels: labels.map((each) => (each === old ? { ...each, label: value } : each)),
      })
      return 'ALTER TYPE'
    }
    if (labels.some((each) => each.label === value)) {
      if (node.skipIfNewValExists !== true) throw sqlError('42710', `enum label "${value}" already exists`)
      notice(ddl, `enum label "${value}" already exists, skipping`, '42710')
      return 'ALTER TYPE'
    }
    let order = (labels.at(-1)?.order ?? 0) + 1
    if (node.newValNeighbor !== undefined && node.newValNeighbor !== '') {
      const at = labels.findIndex((each) => each.label === node.newValNeighbor)
      if (at < 0) throw sqlError('22023', `"${node.newValNeighbor}" is not an existing enum label`)
      const lower = labels[node.newValIsAfter === true ? at : at - 1]?.order
      const upper = labels[node.newValIsAfter === true ? at + 1 : at]?.order
      order = lower === undefined ? upper! - 1 : upper === undefined ? lower + 1 : (lower + upper) / 2
    }
    ddl.editor.put('type', {
      ...row,
      enumLabels: [...labels, { oid: ddl.editor.nextOid(), label: value, order }].sort((a, b) => a.order - b.order),
    })
    return 'ALTER TYPE'
  })

  defineDdl('CompositeTypeStmt', 'CREATE TYPE', async (ddl, node) => {
    const name = node.typevar!
    const { namespace } = relationNamespace(ddl, name)
    await lockName(ddl, 'relation', { name: name.relname!, namespace: namespace.oid })
    if (ddl.editor.relationByName(namespace.oid, name.relname!) !== undefined)
      throw sqlError('42P07', `relation "${name.relname}" already exists`)
    const columns: ColumnRow[] = []
    for (const each of node.coldeflist ?? []) {
      if (!('ColumnDef' in each)) continue
      const { row } = draftColumn(ddl, name.relname!, each.ColumnDef, columns.length + 1)
      if (columns.some((other) => other.name === row.name))
        throw sqlError('42701', `column "${row.name}" specified more than once`)
      columns.push(row)
    }
    freeTypeName(ddl, namespace.oid, name.relname!, false)
    const row: RelationRow = {
      oid: ddl.editor.nextOid(),
      name: name.relname!,
      namespace: namespace.oid,
      owner: roleOf(ddl),
      kind: 'c',
      persistence: 'p',
      rowType: ddl.editor.nextOid(),
      storageId: 0,
      columns,
      constraints: [],
      indexes: [],
    }
    update(ddl, row)
    putRowType(ddl, row)
    return 'CREATE TYPE'
  })
}

export function requireType(ddl: Ddl, names: readonly Node[] | undefined): TypeRow {
  const parts = namesOf(names)
  const row = findType(binder(ddl), parts.length > 1 ? parts.at(-2) : undefined, parts.at(-1)!)
  if (row === undefined) throw sqlError('42704', `type "${parts.join('.')}" does not exist`)
  if (row.oid < 16384) throw sqlError('42501', `must be owner of type ${typeName(binder(ddl), row.oid)}`)
  return row
}
