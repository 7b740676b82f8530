/** nextval, currval, lastval, setval (manual 9.17). */
import { oid } from '../../../storage/keys/brand.ts'
import type { RelationRow } from '../../catalog/catalog.ts'
import { allows, securable } from '../../catalog/privileges.ts'
import { sqlError } from '../../types/error.ts'
import type { FunctionTable } from '../../types/function.ts'
import type { Int64 } from '../../types/value.ts'
import type { Backend } from '../backend.ts'
import { ofSession } from './session-function.ts'

/** The row; `rights`: one of these privilege letters is needed, none when it is empty (U usage, r select, w update). */
function sequence(session: Backend, relation: number, rights: string): RelationRow {
  const row = session.catalog.relation(oid(relation))
  if (row === undefined) throw sqlError('42P01', `could not open relation with OID ${relation}`)
  if (row.kind !== 'S') throw sqlError('42809', `"${row.name}" is not a sequence`)
  if (rights === '') return row
  const object = securable(session.catalog, 'sequence', row.oid)
  if (object === undefined || ![...rights].some((letter) => allows(session.catalog, session.userOid, object, letter))) {
    throw sqlError('42501', `permission denied for sequence ${row.name}`)
  }
  return row
}

function setval(session: Backend, relation: number, value: Int64, called: boolean): Int64 {
  const row = sequence(session, relation, 'w')
  if (row.persistence !== 't') session.requireWritable('setval()')
  return session.sequences.setval(row, value, called)
}

export const SEQUENCE_FUNCTIONS: FunctionTable = {
  // An identity column's default says so: it needs no privilege of its own.
  nextval_oid: ofSession((session, relation: number, identity: boolean) => {
    const row = sequence(session, relation, identity === true ? '' : 'Uw')
    if (row.persistence !== 't') session.requireWritable('nextval()')
    return session.sequences.nextval(row)
  }),
  currval_oid: ofSession((session, relation: number) => session.sequences.currval(sequence(session, relation, 'Ur'))),
  lastval: ofSession((session) => {
    const { sequence: last, value } = session.sequences.lastval()
    sequence(session, last, 'Ur')
    return value
  }),
  setval_oid: ofSession((session, relation: number, value: Int64) => setval(session, relation, value, true)),
  setval3_oid: ofSession((session, relation: number, value: Int64, called: boolean) =>
    setval(session, relation, value, called),
  ),
}
