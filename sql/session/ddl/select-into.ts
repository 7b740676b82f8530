/** SELECT … INTO t is CREATE TABLE t AS SELECT …: the parse tree is turned round before anything else looks at it. */
import type { IntoClause, Node, SelectStmt } from '@pgsql/types'

/** The INTO clause stands in the first SELECT of a set operation. */
function cut(select: SelectStmt): { readonly select: SelectStmt; readonly into: IntoClause } | undefined {
  if (select.intoClause !== undefined) {
    const { intoClause, ...rest } = select
    return { select: rest, into: intoClause }
  }
  if (select.larg === undefined) return undefined
  const left = cut(select.larg)
  return left && { select: { ...select, larg: left.select }, into: left.into }
}

export function selectInto(node: Node): Node {
  if (!('SelectStmt' in node)) return node
  const found = cut(node.SelectStmt)
  if (found === undefined) return node
  return {
    CreateTableAsStmt: {
      query: { SelectStmt: found.select },
      into: found.into,
      objtype: 'OBJECT_TABLE',
      is_select_into: true,
    },
  }
}
