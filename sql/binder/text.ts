/** Binds SQL text that the system itself holds (defaults of built-in functions' arguments): constants and simple casts. */
import type { Oid } from '../../storage/keys/brand.ts'
import { parse } from '../parser/parser.ts'
import type { Expression } from '../plan/expression.ts'
import { sqlError } from '../types/error.ts'
import { coerceTo } from './coerce.ts'
import type { BindContext } from './context.ts'
import { bindExpression } from './expression.ts'
import { createScope } from './scope.ts'

export function bindText(b: BindContext, text: string, type: Oid): Expression {
  const parsed = parse(`SELECT ${text}`)
  if (parsed instanceof Promise) throw sqlError('54001', 'stack depth limit exceeded')
  const node = parsed[0]!.node
  const target = 'SelectStmt' in node ? node.SelectStmt.targetList?.[0] : undefined
  if (target === undefined || !('ResTarget' in target)) throw sqlError('42601', `cannot read the expression ${text}`)
  const e = bindExpression({ ...b, source: text }, createScope(undefined, 'default'), target.ResTarget.val!)
  return coerceTo(b, e, type, -1, 'assignment', 'implicit')
}
