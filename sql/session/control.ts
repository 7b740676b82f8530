/** Transaction control and settings: BEGIN … ROLLBACK TO, SET, SHOW, RESET, SET CONSTRAINTS, DISCARD. */
import type { A_Const, Node, VariableSetStmt } from '@pgsql/types'
import { oid } from '../../storage/keys/brand.ts'
import { sqlError } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import type { Backend } from './backend.ts'
import type { Field, MaybePromise } from './session.ts'
import { allSettings, settingDefinition, shown } from './settings.ts'
import { importSnapshot } from './shared-snapshots.ts'
import { fieldOf } from './statement.ts'
import { define, type UtilityCall } from './utility.ts'

const warn = (session: Backend, code: string, message: string): void =>
  session.notice({ severity: 'WARNING', code, message, fields: {} })

/** 25001 unless the command stands alone, outside of any transaction block. */
export function preventInBlock(session: Backend, call: UtilityCall, command: string): void {
  if (session.transaction.inBlock || call.several)
    throw sqlError('25001', `${command} cannot run inside a transaction block`)
}
/** 25P01 outside of a block. */
export function requireBlock(session: Backend, command: string): void {
  if (!session.transaction.inBlock) throw sqlError('25P01', `${command} can only be used in transaction blocks`)
}

function transactionOptions(session: Backend, options: readonly Node[] | undefined): void {
  for (const option of options ?? []) {
    if (!('DefElem' in option)) continue
    const { defname, arg } = option.DefElem
    const text = constantText(arg)
    if (defname === 'transaction_isolation') session.transaction.setIsolation(text)
    else if (defname === 'transaction_read_only') session.setReadOnly(truth(text))
    else if (defname === 'transaction_deferrable') session.transaction.deferrable = truth(text)
  }
}
const truth = (text: string): boolean => text !== '0' && text !== 'off' && text !== 'false'

function after(session: Backend, chain: boolean | undefined, tag: string): string {
  if (chain) {
    const { isolationName, readOnly, deferrable } = session.transaction
    session.beginBlock()
    session.transaction.setIsolation(isolationName)
    session.transaction.readOnly = readOnly
    session.transaction.deferrable = deferrable
  }
  return tag
}

export function registerControl(): void {
  define('TransactionStmt', (session, node): MaybePromise<string> => {
    const { transaction } = session
    switch (node.kind!) {
      case 'TRANS_STMT_BEGIN':
      case 'TRANS_STMT_START':
        if (transaction.block === 'block') warn(session, '25001', 'there is already a transaction in progress')
        else session.beginBlock()
        transactionOptions(session, node.options)
        return node.kind === 'TRANS_STMT_BEGIN' ? 'BEGIN' : 'START TRANSACTION'
      case 'TRANS_STMT_COMMIT': {
        if (transaction.block === 'failed') {
          transaction.rollback()
          return after(session, node.chain, 'ROLLBACK')
        }
        if (transaction.block !== 'block') {
          if (node.chain) throw sqlError('25P01', 'COMMIT AND CHAIN can only be used in transaction blocks')
          warn(session, '25P01', 'there is no transaction in progress')
        }
        const waiting = transaction.commit()
        return waiting === undefined
          ? after(session, node.chain, 'COMMIT')
          : waiting.then(() => after(session, node.chain, 'COMMIT'))
      }
      case 'TRANS_STMT_ROLLBACK':
        if (!transaction.inBlock) {
          if (node.chain) throw sqlError('25P01', 'ROLLBACK AND CHAIN can only be used in transaction blocks')
          warn(session, '25P01', 'there is no transaction in progress')
        }
        transaction.rollback()
        return after(session, node.chain, 'ROLLBACK')
      case 'TRANS_STMT_SAVEPOINT':
        requireBlock(session, 'SAVEPOINT')
        transaction.savepoint(node.savepoint_name!)
        return 'SAVEPOINT'
      case 'TRANS_STMT_RELEASE':
        requireBlock(session, 'RELEASE SAVEPOINT')
        transaction.release(node.savepoint_name!)
        return 'RELEASE'
      case 'TRANS_STMT_ROLLBACK_TO':
        requireBlock(session, 'ROLLBACK TO SAVEPOINT')
        transaction.rollbackTo(node.savepoint_name!)
        return 'ROLLBACK'
      case 'TRANS_STMT_PREPARE':
      case 'TRANS_STMT_COMMIT_PREPARED':
      case 'TRANS_STMT_ROLLBACK_PREPARED':
        throw sqlError('0A000', 'PREPARE TRANSACTION is not supported')
    }
  })

  define('VariableSetStmt', (session, node) => {
    setVariable(session, node)
    return node.kind === 'VAR_RESET' || node.kind === 'VAR_RESET_ALL' ? 'RESET' : 'SET'
  })

  define(
    'VariableShowStmt',
    (session, node, call) => {
      const name = node.name!
      const fields = showFields(session, name)
      if (call.simple) call.sink.fields(fields, [])
      if (name === 'all') {
        let count = 0
        for (const definition of [...allSettings()].sort((x, y) =>
          x.name.toLowerCase() < y.name.toLowerCase() ? -1 : 1,
        )) {
          call.sink.row([
            definition.name,
            shown(definition, session.settings.get(definition.name)),
            definition.description,
          ])
          count++
        }
        return count > 0 ? 'SHOW' : 'SHOW'
      }
      call.sink.row([session.settings.show(name)])
      return 'SHOW'
    },
    (session, node) => showFields(session, node.name!),
  )

  define('ConstraintsSetStmt', (session, node): MaybePromise<string> => {
    if (!session.transaction.inBlock) warn(session, '25P01', 'SET CONSTRAINTS can only be used in transaction blocks')
    const names = (node.constraints ?? []).map((each) => ('RangeVar' in each ? each.RangeVar.relname! : ''))
    const constraints = names.map((name) => {
      for (const row of session.catalog.relations()) {
        const found = row.constraints.find((each) => each.name === name)
        if (found !== undefined) {
          if (!found.deferrable) throw sqlError('42809', `constraint "${name}" is not deferrable`)
          return found.oid
        }
      }
      throw sqlError('42704', `constraint "${name}" does not exist`)
    })
    session.deferred.setMode(names.length === 0 ? undefined : constraints, node.deferred === true)
    const waiting = node.deferred ? undefined : session.runDeferred(true)
    return waiting === undefined ? 'SET CONSTRAINTS' : waiting.then(() => 'SET CONSTRAINTS')
  })

  define('DiscardStmt', (session, node, call): MaybePromise<string> => {
    switch (node.target!) {
      case 'DISCARD_ALL':
        preventInBlock(session, call, 'DISCARD ALL')
        for (const portal of [...session.portals.values()]) session.extended.closePortalNow(portal)
        setRole(session, session.identity.authenticatedUser.oid, true)
        session.settings.resetAll()
        session.prepared.clear()
        session.kv.unlockSessionAll(session.pid)
        session.sequences.discard()
        session.discardHooks()
        return session.dropTemporary?.().then(() => 'DISCARD ALL') ?? 'DISCARD ALL'
      case 'DISCARD_PLANS':
        return 'DISCARD PLANS'
      case 'DISCARD_SEQUENCES':
        session.sequences.discard()
        return 'DISCARD SEQUENCES'
      case 'DISCARD_TEMP':
        return session.dropTemporary?.().then(() => 'DISCARD TEMP') ?? 'DISCARD TEMP'
    }
  })
}

function showFields(session: Backend, name: string): Field[] {
  const text = (title: string): Field => fieldOf(session.catalog, { name: title, type: OID.text, typmod: -1 })
  if (name === 'all') return [text('name'), text('setting'), text('description')]
  return [text(settingDefinition(name)?.name ?? name)]
}

function constantText(node: Node | undefined): string {
  if (node === undefined) return ''
  if ('A_Const' in node) return constText(node.A_Const)
  if ('TypeCast' in node) return constantText(node.TypeCast.arg)
  if ('String' in node) return node.String.sval ?? ''
  if ('Integer' in node) return String(node.Integer.ival ?? 0)
  if ('Float' in node) return node.Float.fval ?? ''
  throw sqlError('42601', 'SET takes constants only')
}
function constText(value: A_Const): string {
  if (value.ival !== undefined) return String(value.ival.ival ?? 0)
  if (value.fval !== undefined) return value.fval.fval ?? ''
  if (value.sval !== undefined) return value.sval.sval ?? ''
  if (value.boolval !== undefined) return value.boolval.boolval ? 'on' : 'off'
  return ''
}

/** Lists (search_path, DateStyle) are kept as one text with quoted names. */
export function listText(name: string, args: readonly Node[]): string {
  const isNames = ['search_path', 'temp_tablespaces', 'session_preload_libraries', 'local_preload_libraries'].includes(
    name,
  )
  return args
    .map((arg) => {
      const text = constantText(arg)
      return isNames && !/^[a-z_][a-z0-9_$]*$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
    })
    .join(', ')
}

/** SET name TO value, undefined its default: set_config. */
export function setByName(session: Backend, name: string, value: string | undefined, local: boolean): void {
  const known = name.toLowerCase()
  if (known === 'role') setCurrentRole(session, value ?? 'none')
  else if (known === 'session_authorization') setSessionAuthorization(session, value ?? 'default')
  session.settings.set(name, value, local, session.isSuperuser)
}

function setVariable(session: Backend, node: VariableSetStmt): void {
  const name = node.name ?? ''
  const local = node.is_local === true
  const superuser = session.isSuperuser
  if (local && !session.transaction.inBlock)
    warn(
      session,
      '25P01',
      `SET ${node.kind === 'VAR_SET_MULTI' && name === 'TRANSACTION' ? 'TRANSACTION' : 'LOCAL'} can only be used in transaction blocks`,
    )
  switch (node.kind!) {
    case 'VAR_SET_VALUE': {
      const args = node.args ?? []
      if (name === 'timezone' && args[0] !== undefined && 'TypeCast' in args[0]) {
        session.settings.set(name, `INTERVAL '${constantText(args[0])}'`, local, superuser)
        return
      }
      const value = listText(name, args)
      if (name === 'role') setCurrentRole(session, value)
      else if (name === 'session_authorization') setSessionAuthorization(session, value)
      session.settings.set(name, value, local, superuser)
      return
    }
    case 'VAR_SET_DEFAULT':
    case 'VAR_RESET':
      if (name === 'role') setCurrentRole(session, 'none')
      else if (name === 'session_authorization') setRole(session, session.identity.authenticatedUser.oid, true)
      session.settings.set(name, undefined, local, superuser)
      return
    case 'VAR_SET_CURRENT':
      session.settings.set(name, session.settings.get(name), local, superuser)
      return
    case 'VAR_SET_MULTI':
      if (name === 'TRANSACTION') {
        if (!session.transaction.inBlock)
          warn(session, '25P01', 'SET TRANSACTION can only be used in transaction blocks')
        transactionOptions(session, node.args)
        return
      }
      if (name === 'TRANSACTION SNAPSHOT') {
        if (!session.transaction.inBlock)
          warn(session, '25P01', 'SET TRANSACTION SNAPSHOT can only be used in transaction blocks')
        importSnapshot(session, constantText(node.args?.[0]))
        return
      }
      if (name === 'SESSION CHARACTERISTICS') {
        for (const option of node.args ?? []) {
          if ('DefElem' in option)
            session.settings.set(
              `default_${option.DefElem.defname}`,
              normal(option.DefElem.defname!, constantText(option.DefElem.arg)),
              false,
              superuser,
            )
        }
        return
      }
      throw sqlError('0A000', `SET ${name} is not supported`)
    case 'VAR_RESET_ALL':
      setRole(session, session.sessionUser, false)
      session.settings.resetAll()
      return
  }
}
const normal = (name: string, text: string): string =>
  name === 'transaction_isolation' ? text : truth(text) ? 'on' : 'off'

function setCurrentRole(session: Backend, name: string): void {
  if (name === 'none') {
    setRole(session, session.sessionUser, false)
    return
  }
  const role = session.catalog.roleByName(name)
  if (role === undefined) throw sqlError('22023', `role "${name}" does not exist`)
  const me = session.catalog.role(session.sessionUser)!
  if (!me.superuser && !memberOf(session, me.oid, role.oid))
    throw sqlError('42501', `permission denied to set role "${name}"`)
  setRole(session, role.oid, false)
}
function memberOf(session: Backend, member: number, role: number): boolean {
  if (member === role) return true
  return session.catalog.role(oid(member))?.memberOf.some((each) => memberOf(session, each.role, role)) === true
}
function setSessionAuthorization(session: Backend, name: string): void {
  if (name === 'default') {
    setRole(session, session.identity.authenticatedUser.oid, true)
    return
  }
  const role = session.catalog.roleByName(name)
  if (role === undefined) throw sqlError('22023', `role "${name}" does not exist`)
  if (!session.identity.authenticatedUser.superuser && role.oid !== session.identity.authenticatedUser.oid)
    throw sqlError('42501', 'permission denied to set session authorization')
  setRole(session, role.oid, true)
}
function setRole(session: Backend, role: number, alsoSession: boolean): void {
  session.userOid = oid(role)
  if (alsoSession) {
    session.sessionUser = oid(role)
    session.settings.force('session_authorization', session.catalog.role(oid(role))?.name ?? '')
  }
  session.settings.force('is_superuser', session.catalog.role(oid(role))?.superuser ? 'on' : 'off')
}
