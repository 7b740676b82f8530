/** CREATE SCHEMA with its elements, and what ALTER does to a schema. */
import type { Node } from '@pgsql/types'
import { ownedBy } from '../../catalog/privileges.ts'
import { tagOf } from '../../parser/parser.ts'
import { sqlError } from '../../types/error.ts'
import { makeStatement } from '../statement.ts'
import { utilityFor } from '../utility.ts'
import { type Ddl, defineDdl, lockName, notice, requireMember, requireRight, roleFrom, roleOf } from './context.ts'

export function registerSchemas(): void {
  defineDdl('CreateSchemaStmt', 'CREATE SCHEMA', async (ddl, node) => {
    const { editor, session } = ddl
    const owner = node.authrole === undefined ? roleOf(ddl) : roleFrom(ddl, node.authrole)
    const name = node.schemaname === undefined || node.schemaname === '' ? editor.role(owner)!.name : node.schemaname
    requireRight(ddl, 'database', editor.databaseOid, 'C', `permission denied for database ${editor.databaseName}`)
    if (owner !== roleOf(ddl) && !ownedBy(editor, roleOf(ddl), owner)) requireMember(ddl, owner)
    if (name.startsWith('pg_'))
      throw sqlError('42939', `unacceptable schema name "${name}"`, {
        detail: 'The prefix "pg_" is reserved for system schemas.',
      })
    await lockName(ddl, 'namespace', { name })
    if (editor.namespaceByName(name) !== undefined) {
      if (node.if_not_exists !== true) throw sqlError('42P06', `schema "${name}" already exists`)
      notice(ddl, `schema "${name}" already exists, skipping`, '42P06')
      return 'CREATE SCHEMA'
    }
    editor.put('namespace', { oid: editor.nextOid(), name, owner })
    const elements = node.schemaElts ?? []
    if (elements.length > 0) {
      // The elements are made as if the schema stood first in the search path, by its owner.
      const user = session.userOid
      const path = session.settings.get('search_path')
      const mark = session.settings.mark()
      session.settings.set(
        'search_path',
        `"${name.replaceAll('"', '""')}"${path === '' ? '' : `, ${path}`}`,
        true,
        true,
      )
      session.userOid = owner
      try {
        for (const element of sorted(elements)) await runElement(ddl, inSchema(element, name))
      } finally {
        session.userOid = user
        session.settings.undoTo(mark)
      }
    }
    return 'CREATE SCHEMA'
  })
}

/** PostgreSQL's order: sequences, tables, views, indexes, triggers, grants. */
const ORDER = ['CreateSeqStmt', 'CreateStmt', 'ViewStmt', 'IndexStmt', 'CreateTrigStmt', 'GrantStmt']
const sorted = (elements: readonly Node[]): Node[] =>
  [...elements].sort((a, b) => ORDER.indexOf(tagOf(a)) - ORDER.indexOf(tagOf(b)))

/** An element that names another schema is refused; one that names none gets this one. */
function inSchema(node: Node, schema: string): Node {
  const tag = tagOf(node)
  const body = (node as unknown as Record<string, Record<string, unknown>>)[tag]!
  const key =
    tag === 'ViewStmt'
      ? 'view'
      : tag === 'CreateSeqStmt'
        ? 'sequence'
        : tag === 'CreateStmt' || tag === 'IndexStmt'
          ? 'relation'
          : undefined
  if (key === undefined) return node
  const name = body[key] as { schemaname?: string; relpersistence?: string }
  if (name.schemaname !== undefined && name.schemaname !== '' && name.schemaname !== schema) {
    throw sqlError(
      '42P15',
      `CREATE specifies a schema (${name.schemaname}) different from the one being created (${schema})`,
    )
  }
  if (name.relpersistence === 't') return node
  return { [tag]: { ...body, [key]: { ...name, schemaname: schema } } } as unknown as Node
}

async function runElement(ddl: Ddl, node: Node): Promise<void> {
  const tag = tagOf(node)
  const utility = utilityFor(tag)
  if (utility === undefined) throw sqlError('0A000', `${tag} inside CREATE SCHEMA is not supported`)
  await utility.run(ddl.session, makeStatement(node, ddl.statement.text, ddl.statement.source, []), {
    ...ddl.call,
    several: false,
  })
}
