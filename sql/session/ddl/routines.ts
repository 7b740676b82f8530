/**
 * CREATE, ALTER FUNCTION and PROCEDURE in language SQL, and CALL (PostgreSQL 15 manual, "CREATE FUNCTION"). A body is a text that is
 * read when it is called, or, written after the standard (RETURN e, BEGIN ATOMIC … END), the text of these words; either is checked
 * when the function is made, unless check_function_bodies is off.
 */
import type {
  AlterFunctionStmt,
  CreateFunctionStmt,
  DefElem,
  FuncCall,
  FunctionParameter,
  Node,
  VariableSetStmt,
} from '@pgsql/types'
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import {
  bind,
  bindConstantExpression,
  bindProcedureCall,
  bindRoutineResult,
  canCoerce,
  coerceTo,
  namesOf,
  parameterNames,
  resolveTypeName,
  typeName,
} from '../../binder/binder.ts'
import type { FunctionRow } from '../../catalog/catalog.ts'
import { routineText, systemScope } from '../../catalog/deparse.ts'
import { allows, securable } from '../../catalog/privileges.ts'
import { references } from '../../catalog/virtual-depend.ts'
import { evaluate } from '../../executor/evaluate.ts'
import { compileEnv } from '../../executor/executor.ts'
import type { Expression } from '../../plan/expression.ts'
import type { Query } from '../../plan/query.ts'
import { notSupported, SqlError, sqlError } from '../../types/error.ts'
import { OID, PG_CATALOG } from '../../types/oids.ts'
import type { Backend } from '../backend.ts'
import { bodyStatements, routineContext, runProcedure, standardBody } from '../routines.ts'
import type { Field } from '../session.ts'
import { bindContext, fieldOf, isQueryNode, type Statement } from '../statement.ts'
import { define } from '../utility.ts'
import {
  binder,
  creationNamespace,
  type Ddl,
  defineDdl,
  qualifiedName,
  requireOwner,
  roleOf,
  stringNode,
} from './context.ts'
import { changeSettings } from './roles.ts'
import { requireRoutine } from './routine-names.ts'
import { prepareTemporary } from './temporary.ts'

const SQL_LANGUAGE = oid(14)
const PLPGSQL = 'plpgsql'
const FIRST_USER_OID = 16384

type Fields = { -readonly [K in keyof FunctionRow]?: FunctionRow[K] | undefined }

export function registerRoutines(): void {
  defineDdl(
    'CreateFunctionStmt',
    (node) => (node.is_procedure === true ? 'CREATE PROCEDURE' : 'CREATE FUNCTION'),
    createRoutine,
  )
  defineDdl('AlterFunctionStmt', 'ALTER FUNCTION', alterRoutine)
  define(
    'CallStmt',
    async (session, node, call, statement) => {
      const { row, args } = boundCall(session, node.funccall!, statement)
      session.transaction.ensure().beginStatement()
      const x = session.runner.newExecution(session.transaction.ensure(), 0, call.parameters)
      const env = compileEnv(session.catalog, 'once')
      const values = args.map((arg) => evaluate(arg, [], x, env))
      const out = await runProcedure(session, row, values)
      const fields = outFields(session, row)
      if (fields !== undefined) {
        if (call.simple) call.sink.fields(fields, [])
        call.sink.row([...(out ?? fields.map(() => null))])
      }
      return 'CALL'
    },
    (session, node, statement) => outFields(session, boundCall(session, node.funccall!, statement).row),
  )
}

// ── CREATE ─────────────────────────────────────────────────────────────────────────────────────────────────────

async function createRoutine(ddl: Ddl, node: CreateFunctionStmt): Promise<string> {
  const { editor, session } = ddl
  const isProcedure = node.is_procedure === true
  const tag = isProcedure ? 'CREATE PROCEDURE' : 'CREATE FUNCTION'
  const { schema, name } = qualifiedName(node.funcname ?? [])
  const options = (node.options ?? []).flatMap((each) => ('DefElem' in each ? [each.DefElem] : []))
  const language = languageOf(options, node.sql_body !== undefined)
  checkLanguage(language, node.returnType === undefined ? undefined : namesOf(node.returnType.names).at(-1))
  const namespace = creationNamespace(ddl, schema)
  if (namespace.oid === session.tempNamespace) await prepareTemporary(ddl)
  const parameters = parametersOf(ddl, node, isProcedure)
  const fields: Fields = {}
  optionsOf(ddl, fields, options, isProcedure)
  const body = bodyOf(ddl, node, options, language)
  const existing = editor
    .functionsByName(name)
    .find(
      (row) =>
        row.namespace === namespace.oid &&
        row.argTypes.length === parameters.argTypes.length &&
        row.argTypes.every((type, i) => type === parameters.argTypes[i]),
    )
  if (existing !== undefined) checkReplace(ddl, node, existing, parameters, isProcedure)
  const volatility = fields.volatility ?? 'v'
  const row: FunctionRow = {
    oid: existing?.oid ?? editor.nextOid(),
    name,
    namespace: namespace.oid,
    owner: existing?.owner ?? roleOf(ddl),
    language: SQL_LANGUAGE,
    kind: isProcedure ? 'p' : 'f',
    strict: fields.strict ?? false,
    volatility,
    parallel: fields.parallel ?? 'u',
    cost: fields.cost ?? 100,
    rows: parameters.returnsSet ? (fields.rows ?? 1000) : 0,
    securityDefiner: fields.securityDefiner ?? false,
    leakproof: fields.leakproof ?? false,
    source: '',
    body,
    ...(fields.config === undefined ? {} : { config: fields.config }),
    ...(existing?.acl === undefined ? {} : { acl: existing.acl }),
    ...parameters,
  }
  if (fields.rows !== undefined && !row.returnsSet)
    throw sqlError('22023', 'ROWS is not applicable when function does not return a set')
  if (session.settings.bool('check_function_bodies') || node.sql_body !== undefined) {
    editor.put('function', row)
    const queries = checkBody(ddl, row, node)
    if (node.sql_body !== undefined) {
      // Printed from the trees it names what it meant, whatever the search path will be.
      const select = queries.every((query) => query.command === 'select')
      const text = select
        ? routineText(systemScope(editor), queries, 'ReturnStmt' in node.sql_body, name, parameterNames(row))
        : body
      editor.put('function', { ...row, body: text, uses: references(editor, queries, undefined) })
    }
  } else editor.put('function', row)
  return tag
}

function languageOf(options: readonly DefElem[], standard: boolean): string {
  const given = options.find((option) => option.defname === 'language')
  if (given !== undefined) return stringNode(given.arg)!.toLowerCase()
  if (standard) return 'sql'
  throw sqlError('42P13', 'no language specified')
}
function checkLanguage(language: string, returns: string | undefined): void {
  if (language === 'sql') return
  if (language === PLPGSQL && returns === 'trigger') throw notSupported('a trigger function in PL/pgSQL')
  if (language === PLPGSQL)
    throw notSupported('LANGUAGE plpgsql', { hint: 'Functions and procedures can be written in LANGUAGE sql.' })
  if (language === 'c' || language === 'internal') throw notSupported(`LANGUAGE ${language}`)
  throw sqlError('42704', `language "${language}" does not exist`, {
    hint: 'Use CREATE EXTENSION to load the language into the database.',
  })
}

type Parameters = Pick<
  FunctionRow,
  | 'argTypes'
  | 'allArgTypes'
  | 'argModes'
  | 'argNames'
  | 'variadic'
  | 'defaults'
  | 'argDefaults'
  | 'returnType'
  | 'returnsSet'
>

const MODES: Readonly<Record<NonNullable<FunctionParameter['mode']>, string>> = {
  FUNC_PARAM_IN: 'i',
  FUNC_PARAM_DEFAULT: 'i',
  FUNC_PARAM_OUT: 'o',
  FUNC_PARAM_INOUT: 'b',
  FUNC_PARAM_VARIADIC: 'v',
  FUNC_PARAM_TABLE: 't',
}
const ARGUMENTS_MAX = 100
const POLYMORPHIC: ReadonlySet<number> = new Set([2283, 2277, 2776, 3500, 3831, 4537, 5077, 5078, 5079, 5080, 4538])

function parametersOf(ddl: Ddl, node: CreateFunctionStmt, isProcedure: boolean): Parameters {
  const b = binder(ddl)
  const given = (node.parameters ?? []).flatMap((each) => ('FunctionParameter' in each ? [each.FunctionParameter] : []))
  const all: { readonly type: Oid; readonly mode: string; readonly name: string }[] = []
  const defaults: Expression[] = []
  let variadic = oid(0)
  for (const each of given) {
    const { type, setOf } = resolveTypeName(b, each.argType!)
    const mode = MODES[each.mode ?? 'FUNC_PARAM_IN']
    const isInput = 'ibv'.includes(mode)
    if (setOf) throw sqlError('42P13', `${isProcedure ? 'procedures' : 'functions'} cannot accept set arguments`)
    const row = ddl.editor.typeRow(type)!
    if (row.kind === 'p' && !POLYMORPHIC.has(type) && type !== OID.record)
      throw sqlError('42P13', `SQL functions cannot have arguments of type ${typeName(b, type)}`)
    const name = each.name ?? ''
    const clash = all.some(
      (other) =>
        name !== '' &&
        other.name === name &&
        ('ibv'.includes(other.mode) || mode === 't') === ('ibv'.includes(mode) || mode === 't'),
    )
    if (clash) throw sqlError('42P13', `parameter name "${name}" used more than once`)
    if (isInput && variadic !== 0) throw sqlError('42P13', 'VARIADIC parameter must be the last input parameter')
    if (mode === 'v') {
      variadic = type === 2277 ? oid(2283) : type === 5078 ? oid(5077) : row.isArray ? row.element : oid(0)
      if (variadic === 0) throw sqlError('42P13', 'VARIADIC parameter must be an array')
    }
    if (each.defexpr !== undefined) {
      if (!isInput) throw sqlError('42P13', 'only input parameters can have default values')
      const e = bindConstantExpression(b, each.defexpr)
      if (e.type !== OID.unknown && !canCoerce(b, [e.type], [type], 'assignment'))
        throw sqlError(
          '42804',
          `argument of DEFAULT must be type ${typeName(b, type)}, not type ${typeName(b, e.type)}`,
        )
      defaults.push(POLYMORPHIC.has(type) ? e : coerceTo(b, e, type, -1, 'assignment', 'implicit'))
    } else if (isInput && defaults.length > 0)
      throw sqlError('42P13', 'input parameters after one with a default value must also have defaults')
    all.push({ type, mode, name })
  }
  const inputs = all.filter(({ mode }) => 'ibv'.includes(mode))
  if (inputs.length > ARGUMENTS_MAX)
    throw sqlError('54023', `functions cannot have more than ${ARGUMENTS_MAX} arguments`)
  const outs = all.filter(({ mode }) => 'obt'.includes(mode))
  const plain = all.every(({ mode }) => mode === 'i')
  return {
    argTypes: inputs.map(({ type }) => type),
    ...(plain ? {} : { allArgTypes: all.map(({ type }) => type), argModes: all.map(({ mode }) => mode) }),
    ...(all.some(({ name }) => name !== '') ? { argNames: all.map(({ name }) => name) } : {}),
    variadic,
    ...(defaults.length > 0 ? { defaults } : {}),
    argDefaults: defaults.length,
    ...returnOf(
      ddl,
      node,
      outs.map(({ type }) => type),
      isProcedure,
    ),
  }
}

function returnOf(
  ddl: Ddl,
  node: CreateFunctionStmt,
  outs: readonly Oid[],
  isProcedure: boolean,
): { readonly returnType: Oid; readonly returnsSet: boolean } {
  const implied = outs.length === 0 ? undefined : outs.length === 1 && !isProcedure ? outs[0]! : OID.record
  if (node.returnType === undefined) {
    if (isProcedure) return { returnType: implied ?? OID.void, returnsSet: false }
    if (implied === undefined) throw sqlError('42P13', 'function result type must be specified')
    return { returnType: implied, returnsSet: false }
  }
  const b = binder(ddl)
  const { type, setOf } = resolveTypeName(b, node.returnType)
  // RETURNS TABLE (a t) is RETURNS SETOF t.
  const isTable = (node.parameters ?? []).some(
    (each) => 'FunctionParameter' in each && each.FunctionParameter.mode === 'FUNC_PARAM_TABLE',
  )
  if (isTable) return { returnType: implied!, returnsSet: true }
  if (implied !== undefined && type !== implied)
    throw sqlError('42P13', `function result type must be ${typeName(b, implied)} because of OUT parameters`)
  const row = ddl.editor.typeRow(type)
  if (row?.kind === 'p' && !POLYMORPHIC.has(type) && type !== OID.record && type !== OID.void)
    throw sqlError('42P13', `SQL functions cannot return type ${typeName(b, type)}`)
  return { returnType: type, returnsSet: setOf }
}

/** What both CREATE and ALTER take. */
function optionsOf(ddl: Ddl, fields: Fields, options: readonly DefElem[], isProcedure: boolean): void {
  const seen = new Set<string>()
  for (const { defname, arg } of options) {
    if (defname === 'as' || defname === 'language') continue
    if (defname !== 'set' && seen.has(defname!)) throw sqlError('42601', 'conflicting or redundant options')
    seen.add(defname!)
    if (isProcedure && !['security', 'set', 'transform'].includes(defname!))
      throw sqlError('42P13', 'invalid attribute in procedure definition')
    switch (defname) {
      case 'volatility':
        fields.volatility = stringNode(arg)!.charAt(0) as FunctionRow['volatility']
        break
      case 'strict':
        fields.strict = isTrue(arg)
        break
      case 'security':
        fields.securityDefiner = isTrue(arg)
        break
      case 'leakproof':
        fields.leakproof = isTrue(arg)
        break
      case 'parallel': {
        const value = stringNode(arg)!
        if (!['safe', 'restricted', 'unsafe'].includes(value))
          throw sqlError('42601', 'parameter "parallel" must be SAFE, RESTRICTED, or UNSAFE')
        fields.parallel = value.charAt(0)
        break
      }
      case 'cost':
        fields.cost = numberOf(arg)
        if (fields.cost <= 0) throw sqlError('22023', 'COST must be positive')
        break
      case 'rows':
        fields.rows = numberOf(arg)
        if (fields.rows <= 0) throw sqlError('22023', 'ROWS must be positive')
        break
      case 'set':
        if (arg !== undefined && 'VariableSetStmt' in arg)
          fields.config = configOf(ddl, fields.config, arg.VariableSetStmt)
        break
      case 'window':
        throw sqlError('42P13', 'SQL functions cannot be window functions')
      default:
        throw notSupported(`the function option ${defname?.toUpperCase()}`)
    }
  }
}
const isTrue = (arg: Node | undefined): boolean => arg !== undefined && 'Boolean' in arg && arg.Boolean.boolval === true
const numberOf = (arg: Node | undefined): number =>
  arg === undefined ? 0 : 'Integer' in arg ? (arg.Integer.ival ?? 0) : 'Float' in arg ? Number(arg.Float.fval) : 0

function configOf(ddl: Ddl, before: readonly string[] | undefined, node: VariableSetStmt): string[] | undefined {
  const settings = changeSettings(ddl, before ?? [], node)
  return settings.length === 0 ? undefined : settings
}

/** The body's text; after the standard, the words of the statement from RETURN or BEGIN ATOMIC on. */
function bodyOf(ddl: Ddl, node: CreateFunctionStmt, options: readonly DefElem[], language: string): string {
  const as = options.find((option) => option.defname === 'as')?.arg
  if (node.sql_body === undefined) {
    if (as === undefined) throw sqlError('42P13', 'no function body specified')
    const parts = 'List' in as ? (as.List.items ?? []) : []
    if (parts.length > 1) throw sqlError('42P13', `only one AS item needed for language "${language}"`)
    return stringNode(parts[0]) ?? ''
  }
  if (as !== undefined) throw sqlError('42P13', 'duplicate function body specified')
  const source = Buffer.from(ddl.statement.source)
  const place = firstLocation(node.sql_body)
  const isReturn = 'ReturnStmt' in node.sql_body
  const word = isReturn ? /\breturn\b\s*/gi : /\bbegin\s+atomic\b/gi
  const head = source.toString('utf8', 0, place ?? source.length)
  const last = [...head.matchAll(word)].at(-1)
  if (last === undefined) throw notSupported('this function body')
  const end = endOf(ddl.statement)
  const rest = source.toString('utf8', Buffer.byteLength(head.slice(0, last.index + last[0].length)), end).trim()
  return isReturn ? `RETURN ${rest}` : `BEGIN ATOMIC ${rest}`
}
/** Where the statement's text ends in its source, in bytes. */
function endOf({ text, source }: Statement): number {
  const at = source.indexOf(text)
  return Buffer.byteLength(source.slice(0, at + text.length))
}
function firstLocation(tree: unknown): number | undefined {
  if (typeof tree !== 'object' || tree === null) return undefined
  let first: number | undefined
  for (const [key, value] of Object.entries(tree)) {
    const here = key === 'location' && typeof value === 'number' && value > 0 ? value : firstLocation(value)
    if (here !== undefined && (first === undefined || here < first)) first = here
  }
  return first
}

/** CREATE OR REPLACE keeps what callers rely on. */
function checkReplace(
  ddl: Ddl,
  node: CreateFunctionStmt,
  existing: FunctionRow,
  made: Parameters,
  isProcedure: boolean,
): void {
  const b = binder(ddl)
  const signature = `${existing.name}(${existing.argTypes.map((type) => typeName(b, type)).join(',')})`
  const word = existing.kind === 'p' ? 'procedure' : existing.kind === 'a' ? 'aggregate' : 'function'
  if (node.replace !== true)
    throw sqlError('42723', `function "${existing.name}" already exists with same argument types`)
  requireOwner(ddl, existing.owner, word, existing.name)
  if (existing.oid < FIRST_USER_OID || existing.namespace === PG_CATALOG)
    throw sqlError('42501', `permission denied: "${existing.name}" is a system function`)
  if ((existing.kind === 'p') !== isProcedure)
    throw sqlError('42809', 'cannot change routine kind', { detail: `"${existing.name}" is a ${word}.` })
  const hint = { hint: `Use DROP ${word.toUpperCase()} ${signature} first.` }
  if (existing.returnType !== made.returnType || existing.returnsSet !== made.returnsSet)
    throw sqlError(
      '42P13',
      `cannot change ${isProcedure ? 'whether a procedure has output parameters' : 'return type of existing function'}`,
      hint,
    )
  const outs = (row: Pick<FunctionRow, 'allArgTypes' | 'argModes' | 'argNames'>): string =>
    (row.argModes ?? [])
      .flatMap((mode, i) => ('obt'.includes(mode) ? [`${row.argNames?.[i] ?? ''} ${row.allArgTypes![i]}`] : []))
      .join(',')
  if (made.returnType === OID.record && outs(existing) !== outs(made))
    throw sqlError('42P13', 'cannot change return type of existing function', {
      detail: 'Row type defined by OUT parameters is different.',
      ...hint,
    })
  const names = (row: Pick<FunctionRow, 'argModes' | 'argNames'>) =>
    (row.argNames ?? []).filter((_, i) => 'ibv'.includes(row.argModes?.[i] ?? 'i'))
  const before = names(existing)
  const after = names(made)
  before.forEach((name, i) => {
    if (name !== '' && name !== after[i])
      throw sqlError('42P13', `cannot change name of input parameter "${name}"`, hint)
  })
  if (existing.argDefaults > made.argDefaults)
    throw sqlError('42P13', 'cannot remove parameter defaults from existing function', hint)
}

/** Binds the statements as a call would, where the types are known; gives what it has bound. */
function checkBody(ddl: Ddl, row: FunctionRow, node: CreateFunctionStmt): Query[] {
  const { session } = ddl
  const polymorphic = [...row.argTypes, row.returnType].some((type) => POLYMORPHIC.has(type))
  try {
    const { nodes, source } =
      node.sql_body === undefined
        ? bodyStatements(row.body!)
        : { nodes: standardBody(node.sql_body), source: ddl.statement.source }
    let final: Query | undefined
    const queries: Query[] = []
    nodes.forEach((each, i) => {
      if (polymorphic || !isQueryNode(each)) return
      const query = bind(routineContext(session, row, source, row.argTypes), each)
      queries.push(query)
      if (i === nodes.length - 1) final = query
    })
    if (!polymorphic)
      bindRoutineResult(routineContext(session, row, source, row.argTypes), row, row.argTypes, row.returnType, final)
    return queries
  } catch (error) {
    if (!(error instanceof SqlError)) throw error
    const { position } = error.fields
    const inBody = node.sql_body === undefined
    const at = inBody ? ddl.statement.source.indexOf(row.body!) : 0
    error.fields = {
      ...error.fields,
      position: position === undefined ? undefined : at < 0 ? undefined : position + at,
      ...(inBody && error.code === '42P13' ? { context: `SQL function "${row.name}"` } : {}),
    }
    throw error
  }
}

// ── ALTER ──────────────────────────────────────────────────────────────────────────────────────────────────────

function alterRoutine(ddl: Ddl, node: AlterFunctionStmt): string {
  const type = node.objtype as 'OBJECT_FUNCTION' | 'OBJECT_PROCEDURE' | 'OBJECT_ROUTINE'
  const row = requireRoutine(ddl, type, node.func!)
  requireOwner(ddl, row.owner, row.kind === 'p' ? 'procedure' : 'function', row.name)
  if (row.oid < FIRST_USER_OID) throw notSupported('altering a built-in function')
  const { config, ...rest } = row
  const fields: Fields = { ...(config === undefined ? {} : { config }) }
  optionsOf(
    ddl,
    fields,
    (node.actions ?? []).flatMap((each) => ('DefElem' in each ? [each.DefElem] : [])),
    row.kind === 'p',
  )
  if (fields.rows !== undefined && !row.returnsSet)
    throw sqlError('22023', 'ROWS is not applicable when function does not return a set')
  const { config: settings, ...others } = fields
  ddl.editor.put('function', {
    ...rest,
    ...others,
    ...(settings === undefined ? {} : { config: settings }),
  } as FunctionRow)
  return `ALTER ${type.replace('OBJECT_', '')}`
}

// ── CALL ───────────────────────────────────────────────────────────────────────────────────────────────────────

function boundCall(session: Backend, node: FuncCall, statement: Statement) {
  const b = bindContext(session, statement.source, statement.givenTypes, false)
  const bound = bindProcedureCall(b, node)
  const schema = securable(session.catalog, 'namespace', bound.row.namespace)
  if (schema !== undefined && !allows(session.catalog, session.userOid, schema, 'U'))
    throw sqlError('42501', `permission denied for schema ${session.catalog.namespace(bound.row.namespace)?.name}`)
  return bound
}
function outFields(session: Backend, row: FunctionRow): readonly Field[] | undefined {
  const fields = (row.argModes ?? []).flatMap((mode, i) =>
    mode === 'o' || mode === 'b'
      ? [
          fieldOf(session.catalog, {
            name: row.argNames?.[i] || `column${i + 1}`,
            type: row.allArgTypes![i]!,
            typmod: -1,
          }),
        ]
      : [],
  )
  return fields.length === 0 ? undefined : fields
}
