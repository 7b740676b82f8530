/**
 * DO: an unnamed block of PL/pgSQL (PostgreSQL 15 manual, chapter 43), as migrations use it to do something only when it has
 * not been done yet:
 *
 *     DO $$ BEGIN CREATE TYPE mood AS ENUM ('sad'); EXCEPTION WHEN duplicate_object THEN NULL; END $$
 *
 * Blocks with EXCEPTION, SQL statements, PERFORM, EXECUTE of a text, IF, RAISE, RETURN and NULL. A block with EXCEPTION is
 * undone whole when it fails. Variables, loops, cursors and INTO are not supported and say so before anything has run.
 */
import { parse, parsePlpgsql } from '../../parser/parser.ts'
import { type Notice, notSupported, SqlError, sqlError } from '../../types/error.ts'
import type { Row, Value } from '../../types/value.ts'
import type { Backend } from '../backend.ts'
import type { Sink } from '../session.ts'
import { toSqlError } from '../sqlstate-of.ts'
import { isQueryNode, makeStatement } from '../statement.ts'
import { define } from '../utility.ts'
import { conditionCodes } from './conditions.ts'
import { silentSink } from './silent-sink.ts'

export function registerDo(): void {
  define('DoStmt', async (session, node) => {
    let body = ''
    let language = 'plpgsql'
    for (const arg of node.args ?? []) {
      if (!('DefElem' in arg)) continue
      const value = arg.DefElem.arg
      const text = value !== undefined && 'String' in value ? (value.String.sval ?? '') : ''
      if (arg.DefElem.defname === 'language') language = text
      else body = text
    }
    if (['sql', 'c', 'internal'].includes(language))
      throw sqlError('0A000', `language "${language}" does not support inline code execution`)
    if (language !== 'plpgsql') throw sqlError('42704', `language "${language}" does not exist`)
    const { datums = [], action } = (parsePlpgsql(body) as Parsed).plpgsql_funcs[0]!.PLpgSQL_function
    if (datums.some((datum) => !('PLpgSQL_var' in datum && GIVEN.has(datum.PLpgSQL_var.refname))))
      throw notSupported('a variable in DO')
    check([action])
    await new Run(session).all([action])
    return 'DO'
  })
}

// What libpg-query gives: each step is an object with one member, which names it.
interface Parsed {
  readonly plpgsql_funcs: readonly { readonly PLpgSQL_function: Body }[]
}
interface Body {
  readonly datums?: readonly { readonly PLpgSQL_var: { readonly refname: string } }[]
  readonly action: Step
}
interface Expression {
  readonly PLpgSQL_expr: { readonly query: string }
}
interface Handler {
  readonly conditions: readonly { readonly PLpgSQL_condition: { readonly condname: string } }[]
  readonly action?: readonly Step[]
}
interface Line {
  readonly lineno?: number
}
interface Block extends Line {
  readonly body?: readonly Step[]
  readonly exceptions?: {
    readonly PLpgSQL_exception_block: { readonly exc_list: readonly { readonly PLpgSQL_exception: Handler }[] }
  }
}
interface Sql extends Line {
  readonly sqlstmt: Expression
  readonly into?: boolean
}
interface If extends Line {
  readonly cond: Expression
  readonly then_body?: readonly Step[]
  readonly elsif_list?: readonly {
    readonly PLpgSQL_if_elsif: Line & { readonly cond: Expression; readonly stmts?: readonly Step[] }
  }[]
  readonly else_body?: readonly Step[]
}
interface Raise extends Line {
  readonly elog_level: number
  readonly condname?: string
  readonly message?: string
  readonly params?: readonly Expression[]
  readonly options?: readonly {
    readonly PLpgSQL_raise_option: { readonly opt_type: string | number; readonly expr: Expression }
  }[]
}
interface Execute extends Line {
  readonly query: Expression
  readonly into?: boolean
  readonly params?: readonly Expression[]
}
type Step =
  | { readonly PLpgSQL_stmt_block: Block }
  | { readonly PLpgSQL_stmt_execsql: Sql }
  | { readonly PLpgSQL_stmt_perform: Line & { readonly expr: Expression } }
  | { readonly PLpgSQL_stmt_dynexecute: Execute }
  | { readonly PLpgSQL_stmt_if: If }
  | { readonly PLpgSQL_stmt_raise: Raise }
  | { readonly PLpgSQL_stmt_return: Line }

/** Variables that every block has. */
const GIVEN = new Set(['found', 'sqlstate', 'sqlerrm'])

const UNSUPPORTED: Readonly<Record<string, string>> = {
  PLpgSQL_stmt_assign: 'an assignment',
  PLpgSQL_stmt_case: 'CASE',
  PLpgSQL_stmt_loop: 'LOOP',
  PLpgSQL_stmt_while: 'WHILE',
  PLpgSQL_stmt_fori: 'FOR',
  PLpgSQL_stmt_fors: 'FOR',
  PLpgSQL_stmt_forc: 'FOR',
  PLpgSQL_stmt_dynfors: 'FOR',
  PLpgSQL_stmt_foreach_a: 'FOREACH',
  PLpgSQL_stmt_exit: 'EXIT',
  PLpgSQL_stmt_assert: 'ASSERT',
  PLpgSQL_stmt_getdiag: 'GET DIAGNOSTICS',
  PLpgSQL_stmt_open: 'OPEN',
  PLpgSQL_stmt_fetch: 'FETCH',
  PLpgSQL_stmt_close: 'CLOSE',
  PLpgSQL_stmt_call: 'CALL',
  PLpgSQL_stmt_commit: 'COMMIT',
  PLpgSQL_stmt_rollback: 'ROLLBACK',
}

/** Nothing runs when a part of it could not. */
function check(steps: readonly Step[] | undefined): void {
  for (const step of steps ?? []) {
    if ('PLpgSQL_stmt_block' in step) {
      const { body, exceptions } = step.PLpgSQL_stmt_block
      check(body)
      for (const { PLpgSQL_exception: handler } of exceptions?.PLpgSQL_exception_block.exc_list ?? [])
        check(handler.action)
    } else if ('PLpgSQL_stmt_if' in step) {
      const { then_body, elsif_list, else_body } = step.PLpgSQL_stmt_if
      check(then_body)
      for (const { PLpgSQL_if_elsif: other } of elsif_list ?? []) check(other.stmts)
      check(else_body)
    } else if ('PLpgSQL_stmt_execsql' in step) {
      if (step.PLpgSQL_stmt_execsql.into === true) throw notSupported('INTO in DO')
    } else if ('PLpgSQL_stmt_dynexecute' in step) {
      const { into, params } = step.PLpgSQL_stmt_dynexecute
      if (into === true || params !== undefined) throw notSupported('EXECUTE with INTO or USING in DO')
    } else {
      const name = Object.keys(step)[0]!
      const words = UNSUPPORTED[name]
      if (words !== undefined) throw notSupported(`${words} in DO`)
    }
  }
}

/** RAISE's levels, as elog.h numbers them. */
const SEVERITIES: Readonly<Record<number, Notice['severity']>> = {
  14: 'DEBUG',
  15: 'LOG',
  17: 'INFO',
  18: 'NOTICE',
  19: 'WARNING',
}

class Run {
  readonly #session: Backend
  /** What a handler is handling. */
  #error: SqlError | undefined

  constructor(session: Backend) {
    this.#session = session
  }

  /** Runs steps one after the other; true when a RETURN has ended the whole. */
  async all(steps: readonly Step[] | undefined): Promise<boolean> {
    for (const step of steps ?? []) if (await this.#one(step)) return true
    return false
  }

  async #one(step: Step): Promise<boolean> {
    if ('PLpgSQL_stmt_return' in step) return true
    if ('PLpgSQL_stmt_block' in step) return this.#block(step.PLpgSQL_stmt_block)
    if ('PLpgSQL_stmt_if' in step) return this.#if(step.PLpgSQL_stmt_if)
    if ('PLpgSQL_stmt_raise' in step) {
      const raise = step.PLpgSQL_stmt_raise
      await at(raise, 'RAISE', () => this.#raise(raise))
    } else if ('PLpgSQL_stmt_execsql' in step) {
      const { sqlstmt } = step.PLpgSQL_stmt_execsql
      await at(step.PLpgSQL_stmt_execsql, 'SQL statement', () => this.#statement(sqlstmt.PLpgSQL_expr.query, true))
    } else if ('PLpgSQL_stmt_perform' in step) {
      const { expr } = step.PLpgSQL_stmt_perform
      await at(step.PLpgSQL_stmt_perform, 'PERFORM', () => this.#statement(expr.PLpgSQL_expr.query, false))
    } else {
      const { query } = step.PLpgSQL_stmt_dynexecute
      await at(step.PLpgSQL_stmt_dynexecute, 'EXECUTE', async () => {
        const text = await this.#text(query)
        if (text === null) throw sqlError('22004', 'query string argument of EXECUTE is null')
        await this.#statement(text, false)
      })
    }
    return false
  }

  async #block({ body, exceptions }: Block): Promise<boolean> {
    if (exceptions === undefined) return this.all(body)
    const { transaction } = this.#session
    const mark = transaction.statementMark()
    try {
      return await this.all(body)
    } catch (thrown) {
      const error = toSqlError(thrown)
      if (!(error instanceof SqlError)) throw thrown
      const handlers = exceptions.PLpgSQL_exception_block.exc_list
      const handler = handlers.find(({ PLpgSQL_exception }) => handles(PLpgSQL_exception, error))
      if (handler === undefined) throw error
      transaction.takeBack(mark)
      const outer = this.#error
      this.#error = error
      try {
        return await this.all(handler.PLpgSQL_exception.action)
      } finally {
        this.#error = outer
      }
    }
  }

  async #if(step: If): Promise<boolean> {
    const { cond, then_body, elsif_list, else_body } = step
    if (await at(step, 'IF', () => this.#isTrue(cond))) return this.all(then_body)
    for (const { PLpgSQL_if_elsif: other } of elsif_list ?? [])
      if (await at(step, 'IF', () => this.#isTrue(other.cond))) return this.all(other.stmts)
    return this.all(else_body)
  }

  async #raise(raise: Raise): Promise<void> {
    const { elog_level, condname, message, params, options } = raise
    if (message === undefined && condname === undefined && options === undefined) {
      if (this.#error !== undefined) throw this.#error
      throw sqlError('0Z002', 'RAISE without parameters cannot be used outside an exception handler')
    }
    const given = new Map<string, string>()
    for (const { PLpgSQL_raise_option: option } of options ?? []) {
      const text = await this.#text(option.expr)
      if (text === null) throw sqlError('22004', 'RAISE statement option cannot be null')
      given.set(OPTIONS[Number(option.opt_type)] ?? String(option.opt_type), text)
    }
    const texts: string[] = []
    for (const param of params ?? []) texts.push((await this.#text(param)) ?? '<NULL>')
    const named = given.get('errcode') ?? condname
    const code = named === undefined ? undefined : (conditionCodes(named)?.[0] ?? named)
    const words = message?.replaceAll(/%%|%/g, (sign) => (sign === '%%' ? '%' : texts.shift()!))
    const shown = words ?? given.get('message') ?? condname ?? code!
    const fields = {
      detail: given.get('detail'),
      hint: given.get('hint'),
      column: given.get('column'),
      constraint: given.get('constraint'),
      dataType: given.get('datatype'),
      table: given.get('table'),
      schema: given.get('schema'),
    }
    const severity = SEVERITIES[elog_level]
    if (severity === undefined) throw sqlError(code ?? 'P0001', shown, fields)
    const context = placeOf(raise, 'RAISE')
    const usual = severity === 'WARNING' ? '01000' : '00000'
    this.#session.notice({ severity, code: code ?? usual, message: shown, fields: { ...fields, context } })
  }

  async #isTrue({ PLpgSQL_expr: { query } }: Expression): Promise<boolean> {
    return (await this.#value(`(${query})::boolean`, query)) === true
  }

  /** An expression's value as text. */
  async #text({ PLpgSQL_expr: { query } }: Expression): Promise<string | null> {
    const name = query.trim().toLowerCase()
    if (name === 'sqlerrm' && this.#error !== undefined) return this.#error.message
    if (name === 'sqlstate' && this.#error !== undefined) return this.#error.code
    return (await this.#value(`(${query})::text`, query)) as string | null
  }

  async #value(expression: string, shown: string): Promise<Value> {
    const rows = await this.#run(`SELECT ${expression}`, false).catch((error: unknown) => {
      throw within(error, `SQL expression "${shown}"`)
    })
    return rows[0]?.[0] ?? null
  }

  async #statement(text: string, needsDestination: boolean): Promise<void> {
    await this.#run(text, needsDestination).catch((error: unknown) => {
      if (error instanceof Refused) throw error
      throw within(error, `SQL statement "${text}"`)
    })
  }

  /** Runs statements of SQL inside this transaction; gives the rows of the last. */
  async #run(sql: string, needsDestination: boolean): Promise<Row[]> {
    const session = this.#session
    let rows: Row[] = []
    for (const { node, text } of await parse(sql)) {
      const statement = makeStatement(node, text, sql, [])
      if (statement.tag === 'TransactionStmt') throw new Refused('0A000', 'unsupported transaction command in PL/pgSQL')
      if ('CopyStmt' in node && node.CopyStmt.filename === undefined)
        throw new Refused('0A000', 'cannot COPY to/from client in PL/pgSQL')
      rows = []
      let hasRows = false
      const sink: Sink = {
        ...silentSink(session, 'PL/pgSQL'),
        fields: () => {
          hasRows = true
        },
        row: (row) => {
          rows.push([...row])
        },
      }
      const isQuery = isQueryNode(node)
      await session.runner.runStatement(statement, [], sink, true)
      if (needsDestination && isQuery && hasRows) {
        throw new Refused('42601', 'query has no destination for result data', {
          ...(statement.tag === 'SelectStmt'
            ? { hint: 'If you want to discard the results of a SELECT, use PERFORM instead.' }
            : {}),
        })
      }
    }
    return rows
  }
}

/** PLpgSQL_raise_option_type, in its order. */
const OPTIONS = ['errcode', 'message', 'detail', 'hint', 'column', 'constraint', 'datatype', 'table', 'schema']

/** An error of PL/pgSQL itself: the statement's text is no part of where it happened. */
class Refused extends SqlError {}

/** OTHERS takes everything but a cancel and a failed assertion. */
function handles({ conditions }: Handler, { code }: SqlError): boolean {
  return conditions.some(({ PLpgSQL_condition: { condname } }) => {
    if (condname === 'others') return code !== '57014' && code !== 'P0004'
    const codes = conditionCodes(condname)
    if (codes === undefined) return condname === code
    return codes.some((each) => each === code || (each.endsWith('000') && each.slice(0, 2) === code.slice(0, 2)))
  })
}

const placeOf = ({ lineno }: Line, what: string): string =>
  `PL/pgSQL function inline_code_block line ${lineno ?? 1} at ${what}`

async function at<T>(line: Line, what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw within(error, placeOf(line, what))
  }
}

/** The error with one more line of where it happened. Positions are of the inner text, which the client has not sent. */
function within(thrown: unknown, where: string): unknown {
  const error = toSqlError(thrown)
  if (!(error instanceof SqlError) || (error.fields.context?.includes('PL/pgSQL function') ?? false)) return error
  const { context } = error.fields
  error.fields = {
    ...error.fields,
    position: undefined,
    context: context === undefined ? where : `${context}\n${where}`,
  }
  return error
}
