/**
 * The extended protocol: Parse keeps a statement under a name, Bind makes a portal of it and its parameters, Describe tells
 * its rows, Execute runs it (whole, or a number of rows at a time), Sync ends the implicit transaction.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import { type ParsedStatement, parse } from '../parser/parser.ts'
import { sqlError } from '../types/error.ts'
import { decodeUtf8 } from '../types/text/chars.ts'
import type { Value } from '../types/value.ts'
import type { Backend, Named } from './backend.ts'
import { clockMicros } from './call-context.ts'
import { newPortal, type Portal } from './portal.ts'
import type { Field, Format, MaybePromise, Sink } from './session.ts'
import {
  changedResult,
  isQueryNode,
  makeStatement,
  type PreparedQuery,
  prepareQuery,
  type Statement,
  sameFields,
  searchesVectors,
  variantFor,
} from './statement.ts'
import { aborted } from './transaction.ts'
import { rowSink } from './utilities/query.ts'

export class ExtendedQuery {
  readonly #session: Backend

  constructor(session: Backend) {
    this.#session = session
  }

  parse(name: string, sql: string, parameterTypes: readonly Oid[]): MaybePromise<void> {
    return this.#session.guard(() => {
      if (name !== '' && this.#session.prepared.has(name))
        throw sqlError('42P05', `prepared statement "${name}" already exists`)
      const { cache } = this.#session.path()
      const keep = (statement: Statement): void => {
        this.#session.checkFailed(statement)
        let fields: readonly Field[] | undefined
        if (isQueryNode(statement.node)) {
          this.#session.ensureTransaction()
          fields = prepareQuery(this.#session, statement, true).fields
        }
        this.keepPrepared(name, statement, fields, false, sql)
      }
      const known = cache.extended(sql, parameterTypes)
      if (known !== undefined) return keep(known)
      const make = (parsed: readonly ParsedStatement[]): void => {
        if (parsed.length > 1) throw sqlError('42601', 'cannot insert multiple commands into a prepared statement')
        const node = parsed[0]?.node
        if (node === undefined) {
          this.keepPrepared(name, makeStatement({ List: {} }, '', '', []), undefined, false, sql)
          return
        }
        const statement = this.#withInnerTypes(makeStatement(node, sql, sql, parameterTypes))
        cache.keepExtended(sql, parameterTypes, statement)
        keep(statement)
      }
      const parsed = parse(sql)
      return parsed instanceof Promise ? parsed.then(make) : make(parsed)
    })
  }

  /** EXPLAIN, DECLARE and CREATE TABLE AS take the parameters of their query, and fail where it does. */
  #withInnerTypes(statement: Statement): Statement {
    const { node } = statement
    const inner =
      'ExplainStmt' in node
        ? node.ExplainStmt.query
        : 'DeclareCursorStmt' in node
          ? node.DeclareCursorStmt.query
          : 'CreateTableAsStmt' in node
            ? node.CreateTableAsStmt.query
            : undefined
    if (inner === undefined || !isQueryNode(inner)) return statement
    this.#session.checkFailed(statement)
    this.#session.ensureTransaction()
    const query = makeStatement(inner, statement.text, statement.source, statement.givenTypes)
    return { ...statement, givenTypes: prepareQuery(this.#session, query, true).parameterTypes }
  }

  keepPrepared(
    name: string,
    statement: Statement,
    fields: readonly Field[] | undefined,
    fromSql: boolean,
    text: string,
  ): void {
    const { cache } = this.#session.path()
    this.#session.prepared.set(name, { statement, cache, fields, fromSql, at: clockMicros(), text })
  }

  /** Throws 26000. A statement bound under another search_path is bound anew under the present one. */
  #named(name: string): Named {
    const known = this.#session.prepared.get(name)
    if (known === undefined)
      throw sqlError(
        '26000',
        name === '' ? 'unnamed prepared statement does not exist' : `prepared statement "${name}" does not exist`,
      )
    const { cache } = this.#session.path()
    if (known.cache !== cache) {
      known.cache = cache
      const { variants: _, ...statement } = known.statement
      known.statement = { ...statement, prepared: undefined }
    }
    return known
  }

  /** A prepared query, bound to the catalog as it is now. Throws 26000, and 0A000 when its rows are others than the client was told. */
  preparedQuery(name: string): PreparedQuery {
    const known = this.#named(name)
    const prepared = prepareQuery(this.#session, known.statement, true)
    if (prepared.fields !== known.fields) {
      if (!sameFields(prepared.fields, known.fields)) throw changedResult()
      known.fields = prepared.fields
    }
    return prepared
  }
  preparedStatement(name: string): Statement {
    return this.#named(name).statement
  }
  #portal(name: string): Portal {
    const known = this.#session.portals.get(name)
    if (known === undefined) throw sqlError('34000', `portal "${name}" does not exist`)
    return known
  }

  bind(
    portal: string,
    name: string,
    formats: readonly Format[],
    values: readonly (Buffer | null)[],
    resultFormats: readonly Format[],
  ): MaybePromise<void> {
    return this.#session.guard(() => {
      let { statement } = this.#named(name)
      this.#session.checkFailed(statement)
      if (portal !== '' && this.#session.portals.has(portal))
        throw sqlError('42P03', `cursor "${portal}" already exists`)
      let parameters: Value[] = []
      let prepared: PreparedQuery | undefined
      if (isQueryNode(statement.node)) {
        this.#session.ensureTransaction()
        prepared = this.preparedQuery(name)
        parameters = this.#parameters(prepared.parameterTypes, formats, values, name)
        if (prepared.peeks.length > 0 && searchesVectors(this.#session.catalog, prepared)) {
          statement = variantFor(this.#session, statement, prepared, parameters)
          prepared = statement.prepared ?? prepared
        }
      } else parameters = this.#parameters(statement.givenTypes, formats, values, name)
      const columns = prepared?.fields?.length
      if (resultFormats.length > 1 && columns !== undefined && resultFormats.length !== columns)
        throw sqlError(
          '08P01',
          `bind message has ${resultFormats.length} result formats but query has ${columns} columns`,
        )
      this.#session.portals.set(portal, newPortal(portal, statement, parameters, resultFormats, prepared))
    })
  }

  #parameters(
    types: readonly Oid[],
    formats: readonly Format[],
    values: readonly (Buffer | null)[],
    name: string,
  ): Value[] {
    if (values.length !== types.length) {
      throw sqlError(
        '08P01',
        `bind message supplies ${values.length} parameters, but prepared statement "${name}" requires ${types.length}`,
      )
    }
    if (formats.length > 1 && formats.length !== values.length)
      throw sqlError('08P01', `bind message has ${formats.length} parameter formats but ${values.length} parameters`)
    const result: Value[] = []
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!
      const type = this.#session.catalog.type(types[i]!)
      if (value === null) {
        type.checkNull?.(this.#session.context)
        result.push(null)
        continue
      }
      const format = formats.length === 0 ? 0 : formats.length === 1 ? formats[0]! : formats[i]!
      result.push(
        format === 1
          ? type.receive(value, 0, value.length, -1, this.#session.context)
          : type.input(decodeUtf8(value), -1, this.#session.context),
      )
    }
    return result
  }

  describeStatement(name: string): MaybePromise<{ parameters: readonly Oid[]; fields: readonly Field[] | undefined }> {
    return this.#session.guard(() => {
      const { statement } = this.#named(name)
      if (!isQueryNode(statement.node))
        return {
          parameters: statement.givenTypes,
          fields: this.#session.utility(statement)?.fields?.(this.#session, statement),
        }
      this.#session.checkFailed(statement)
      this.#session.ensureTransaction()
      const prepared = this.preparedQuery(name)
      return { parameters: prepared.parameterTypes, fields: prepared.fields }
    })
  }

  describePortal(name: string): MaybePromise<{ fields: readonly Field[] | undefined; formats: readonly Format[] }> {
    return this.#session.guard(() => {
      const portal = this.#portal(name)
      const { statement } = portal
      const isRun = isQueryNode(statement.node) || portal.cursor !== undefined
      const fields = isRun ? portal.fields : this.#session.utility(statement)?.fields?.(this.#session, statement)
      return { fields, formats: portal.formats }
    })
  }

  execute(name: string, maxRows: number, sink: Sink): MaybePromise<void> {
    return this.#session.guard(() => {
      if (this.#session.transaction.block === 'failed' && name !== '' && !this.#session.portals.has(name))
        throw aborted()
      const portal = this.#portal(name)
      const { statement } = portal
      this.#session.begin(statement.text, sink)
      if (statement.tag === 'List') {
        sink.emptyQuery()
        return undefined
      }
      this.#session.checkFailed(statement)
      if (portal.prepared === undefined) return this.#executeUtility(portal, maxRows, sink)
      // What gives no rows runs once.
      if (portal.done && portal.fields === undefined) throw sqlError('55000', `portal "${name}" cannot be run`)
      if (portal.fields !== undefined) sink.fields(portal.fields, portal.formats)
      const result = this.#session.runner.runPortal(portal, maxRows, sink)
      const finish = (tag: string | undefined): void => {
        if (tag === undefined) sink.portalSuspended()
        else sink.commandComplete(tag)
      }
      return result instanceof Promise ? result.then(finish) : finish(result)
    })
  }

  /** With a row limit its rows are kept, so that they can be taken in portions. */
  #executeUtility(portal: Portal, maxRows: number, sink: Sink): MaybePromise<void> {
    const { statement } = portal
    const give = (): void => {
      const to = maxRows === 0 ? portal.pending.length : Math.min(portal.pending.length, portal.pendingAt + maxRows)
      const given = to - portal.pendingAt
      while (portal.pendingAt < to) sink.row(portal.pending[portal.pendingAt++]!)
      if (given === maxRows && maxRows > 0) sink.portalSuspended()
      else sink.commandComplete(portal.tag!.replace(/\d+$/, String(given)))
    }
    const fields = portal.done ? portal.fields : this.#session.utility(statement)?.fields?.(this.#session, statement)
    if (portal.done && fields === undefined) throw sqlError('55000', `portal "${portal.name}" cannot be run`)
    portal.done = true
    portal.fields = fields
    if (fields !== undefined) sink.fields(fields, portal.formats)
    if (portal.tag !== undefined) return give()
    if (maxRows === 0 || fields === undefined) {
      const tag = this.#session.runner.runStatement(statement, portal.parameters, sink, false)
      const finish = (text: string): void => {
        // COMMIT and ROLLBACK end here; anything else waits for Sync.
        portal.tag = text
        sink.commandComplete(text)
      }
      return tag instanceof Promise ? tag.then(finish) : finish(tag)
    }
    const tag = this.#session.runner.runStatement(
      statement,
      portal.parameters,
      rowSink(sink, (row) => portal.pending.push(row.slice())),
      false,
    )
    const finish = (text: string): void => {
      portal.tag = text
      give()
    }
    return tag instanceof Promise ? tag.then(finish) : finish(tag)
  }

  closeStatement(name: string): void {
    this.#session.prepared.delete(name)
  }
  closePortal(name: string): void {
    const portal = this.#session.portals.get(name)
    if (portal === undefined) return
    this.closePortalNow(portal)
  }
  closePortalNow(portal: Portal): void {
    portal.steps?.return(undefined)
    portal.cursor?.rows?.close()
    portal.kept?.close()
    this.#session.portals.delete(portal.name)
  }

  sync(sink: Sink): MaybePromise<void> {
    return this.#session.guard(() => {
      this.#session.sink = sink
      const end = (): void => {
        this.#session.idle()
      }
      if (this.#session.transaction.block === 'implicit') {
        const waiting = this.#session.transaction.commit()
        if (waiting !== undefined) return waiting.then(end)
      }
      end()
      return undefined
    })
  }
}
