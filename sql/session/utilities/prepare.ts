/**
 * PREPARE, EXECUTE, DEALLOCATE (PostgreSQL 15 manual, SQL commands). Statements share their names with those that the
 * protocol's Parse makes, so each can run the other's.
 */
import type { ExecuteStmt } from '@pgsql/types'
import type { Oid } from '../../../storage/keys/brand.ts'
import {
  type BindContext,
  bindConstantExpression,
  canCoerce,
  coerceTo,
  resolveTypeName,
  typeName,
} from '../../binder/binder.ts'
import { evaluate } from '../../executor/evaluate.ts'
import { compileEnv } from '../../executor/executor.ts'
import { sqlError } from '../../types/error.ts'
import { OID } from '../../types/oids.ts'
import type { Value } from '../../types/value.ts'
import type { Backend } from '../backend.ts'
import type { Field } from '../session.ts'
import { bindContext, isQueryNode, makeStatement, prepareQuery, type Statement } from '../statement.ts'
import { define, utilityFor } from '../utility.ts'

export function registerPrepare(): void {
  define('PrepareStmt', (session, node, _call, statement) => {
    const name = node.name!
    if (session.prepared.has(name)) throw sqlError('42P05', `prepared statement "${name}" already exists`)
    const b = bindContext(session, statement.source, [], true)
    const types = (node.argtypes ?? []).map((each) => {
      const resolved = 'TypeName' in each ? resolveTypeName(b, each.TypeName) : undefined
      return resolved?.type ?? OID.text
    })
    const inner = makeStatement(node.query!, statement.text, statement.source, types)
    const { fields } = prepareQuery(session, inner, true)
    session.extended.keepPrepared(name, inner, fields, true, statement.text)
    return 'PREPARE'
  })

  define(
    'ExecuteStmt',
    (session, node, call, statement) => {
      const inner = preparedStatement(session, node.name!)
      if (!isQueryNode(inner.node)) return session.runner.runStatement(inner, [], call.sink, call.simple)
      const prepared = session.extended.preparedQuery(node.name!)
      const parameters = executeParameters(session, node, prepared.parameterTypes, statement, call.parameters)
      return session.runner.runQuery(inner, prepared, parameters, call.sink, call.simple)
    },
    (session, node) => executeFields(session, node),
  )

  define('DeallocateStmt', (session, node) => {
    if (node.name === undefined || node.name === '') {
      for (const name of [...session.prepared.keys()]) if (name !== '') session.prepared.delete(name)
      return 'DEALLOCATE ALL'
    }
    if (!session.prepared.delete(node.name)) throw unknownStatement(node.name)
    return 'DEALLOCATE'
  })
}

const unknownStatement = (name: string) => sqlError('26000', `prepared statement "${name}" does not exist`)

export function preparedStatement(session: Backend, name: string): Statement {
  return session.extended.preparedStatement(name)
}

function executeFields(session: Backend, node: ExecuteStmt): readonly Field[] | undefined {
  const inner = preparedStatement(session, node.name!)
  if (isQueryNode(inner.node)) return session.extended.preparedQuery(node.name!).fields
  return utilityFor(inner.tag)?.fields?.(session, inner)
}

/** The values of EXECUTE's list, converted as on assignment. `outer`: of the EXECUTE itself, for $n in the list. */
export function executeParameters(
  session: Backend,
  node: ExecuteStmt,
  types: readonly Oid[],
  statement: Statement,
  outer: readonly Value[],
): Value[] {
  const params = node.params ?? []
  if (params.length !== types.length) {
    throw sqlError('42601', `wrong number of parameters for prepared statement "${node.name}"`, {
      detail: `Expected ${types.length} parameters but got ${params.length}.`,
    })
  }
  if (params.length === 0) return []
  const b: BindContext = bindContext(session, statement.source, statement.givenTypes, outer.length === 0)
  const x = session.runner.newExecution(session.transaction.ensure(), 0, outer)
  const env = compileEnv(session.catalog, 'once')
  return params.map((param, i) => {
    const type = types[i]!
    const e = bindConstantExpression(b, param, 'execute')
    if (e.type !== OID.unknown && !canCoerce(b, [e.type], [type], 'assignment')) {
      throw sqlError(
        '42804',
        `parameter $${i + 1} of type ${typeName(b, e.type)} cannot be coerced to the expected type ${typeName(b, type)}`,
        {
          hint: 'You will need to rewrite or cast the expression.',
        },
      )
    }
    return evaluate(coerceTo(b, e, type, -1, 'assignment', 'implicit'), [], x, env)
  })
}
