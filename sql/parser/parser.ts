/**
 * Text to PostgreSQL's own parse trees, by libpg-query: PostgreSQL's C grammar as WebAssembly.
 *
 * Its JSON writer is recursive. A statement nested some 9,000 levels deep overflows the stack inside C frames, and after
 * a few of those the instance may answer wrongly. So an instance that threw anything but a syntax error is thrown away and
 * the next one made (2.7 ms); the statement answers 54001. The same when its memory, which never shrinks, has grown too far.
 *
 *     parse(sql)  ──ok──────────────►  ParsedStatement[]
 *                 ──syntax error────►  SqlError 42601 with position
 *                 ──anything else───►  new instance, then SqlError 54001
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Node, RawStmt } from '@pgsql/types'
import { sqlError } from '../types/error.ts'
import { findJunk } from './junk.ts'

export interface ParsedStatement {
  readonly node: Node
  /** The statement's own text, without the semicolon. */
  readonly text: string
  /** Byte offset of `text` in the whole string; locations inside `node` count from the whole string's start. */
  readonly location: number
}

/** What emscripten's factory gives, as far as it is used here. */
interface Module {
  HEAPU8: Uint8Array
  UTF8ToString(pointer: number): string
  _malloc(bytes: number): number
  _free(pointer: number): void
  _wasm_parse_query_raw(text: number): number
  _wasm_free_parse_result(result: number): void
  _wasm_parse_plpgsql(text: number): number
  _wasm_free_string(text: number): void
}
type Factory = (options: {
  instantiateWasm(
    imports: WebAssembly.Imports,
    done: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
  ): object
}) => Promise<Module>

const require = createRequire(import.meta.url)
const folder = join(dirname(require.resolve('libpg-query')), '.')
const loaded = require(join(folder, 'libpg-query.js')) as Factory | { default: Factory }
const factory = typeof loaded === 'function' ? loaded : loaded.default
const compiled = new WebAssembly.Module(readFileSync(join(folder, 'libpg-query.wasm')))
const encoder = new TextEncoder()
const decoder = new TextDecoder()

const MEMORY_MAX_BYTES = 256 * 1024 * 1024 // a larger instance is replaced after the statement

const instantiate = (): Promise<Module> =>
  factory({
    instantiateWasm(imports, done) {
      const instance = new WebAssembly.Instance(compiled, imports)
      done(instance, compiled)
      return instance.exports
    },
  })

let current: Module | undefined
let replacement: Promise<void> | undefined
/** Resolves when `parse` can answer at once. No top-level await: whoever opens a database waits for it. */
export const parserReady: Promise<void> = replace()

function replace(): Promise<void> {
  current = undefined
  replacement ??= instantiate().then((module) => {
    current = module
    replacement = undefined
  })
  return replacement
}

/** Splits and parses a query string; an empty list for an empty string. A promise only after an instance was lost. */
export function parse(sql: string): ParsedStatement[] | Promise<ParsedStatement[]> {
  if (current === undefined) return replace().then(() => parse(sql))
  const junk = findJunk(sql)
  try {
    const statements = parseWith(current, sql)
    if (junk === undefined) return statements
  } catch (error) {
    if (
      error instanceof SyntaxFailure &&
      (junk === undefined || (error.position > 0 && error.position < junk.position))
    )
      throw syntaxError(error, sql)
    if (error instanceof SyntaxFailure) throw sqlError('42601', junk!.message, { position: junk!.position })
    return replace().then(() => {
      throw sqlError('54001', 'stack depth limit exceeded', {
        hint: 'Increase the configuration parameter "max_stack_depth" (currently 2048kB), after ensuring the platform\'s stack depth limit is adequate.',
      })
    })
  }
  throw sqlError('42601', junk.message, { position: junk.position })
}

/** The tree of a DO statement's PL/pgSQL, as libpg-query writes it. Throws 42601 without a position. */
export function parsePlpgsql(body: string): unknown {
  const module = current!
  const bytes = Buffer.from(`DO '${body.replaceAll("'", "''")}'\0`)
  const text = module._malloc(bytes.length)
  module.HEAPU8.set(bytes, text)
  const result = module._wasm_parse_plpgsql(text)
  const answer = module.UTF8ToString(result)
  module._free(text)
  module._wasm_free_string(result)
  if (!answer.startsWith('{')) throw sqlError(answer.startsWith('unrecognized exception') ? '42704' : '42601', answer)
  return JSON.parse(answer)
}

class SyntaxFailure extends Error {
  /** Characters from 1, or 0 when unknown. */
  readonly position: number
  constructor(message: string, position: number) {
    super(message)
    this.position = position
  }
}

function parseWith(module: Module, sql: string): ParsedStatement[] {
  if (sql.includes('\0')) throw new SyntaxFailure('invalid byte sequence for encoding "UTF8": 0x00', 0)
  const capacity = sql.length * 3 + 1
  const text = module._malloc(capacity)
  let result = 0
  let json: string
  try {
    const { written } = encoder.encodeInto(sql, module.HEAPU8.subarray(text, text + capacity))
    module.HEAPU8[text + written] = 0
    result = module._wasm_parse_query_raw(text)
    const words = new Int32Array(module.HEAPU8.buffer)
    const tree = words[result >> 2]!
    const failure = words[(result + 8) >> 2]!
    if (failure !== 0) {
      const at = failure >> 2
      throw new SyntaxFailure(module.UTF8ToString(words[at]!), words[at + 4]!)
    }
    const heap = module.HEAPU8
    json = decoder.decode(heap.subarray(tree, heap.indexOf(0, tree)))
  } finally {
    if (result !== 0) module._wasm_free_parse_result(result)
    module._free(text)
  }
  if (module.HEAPU8.length > MEMORY_MAX_BYTES) void replace()
  return split(sql, (JSON.parse(json) as { stmts?: RawStmt[] }).stmts ?? [])
}

function split(sql: string, statements: readonly RawStmt[]): ParsedStatement[] {
  if (statements.length === 1) {
    const only = statements[0]!
    if (only.stmt_location === undefined && only.stmt_len === undefined)
      return [{ node: only.stmt!, text: sql, location: 0 }]
  }
  const bytes = Buffer.from(sql)
  return statements.map((statement) => {
    const from = statement.stmt_location ?? 0
    const length = statement.stmt_len ?? 0
    const text = bytes.toString('utf8', from, length === 0 ? bytes.length : from + length)
    return { node: statement.stmt!, text: text.trimStart(), location: from }
  })
}

/** libpg-query gives no SQLSTATE: the grammar's own errors that are not 42601. */
const CODES: readonly (readonly [RegExp, string])[] = [
  [/^frame (start|end)/, '42P20'],
  [/^role name .* is reserved|cannot be used as a role name here/, '42939'],
  [/^column number must be in range|^precision for type/, '22023'],
  [/constraints cannot be marked|^aggregates cannot have output arguments/, '0A000'],
  [/^invalid byte sequence/, '22021'],
  [/unsafe use of|nonstandard use/, '22P06'],
  [/not supported|not yet implemented|is not implemented/, '0A000'],
  [/^value .* out of range|^integer out of range/, '22003'],
]

function syntaxError(failure: SyntaxFailure, sql: string) {
  const code = failure.message.startsWith('syntax error')
    ? '42601'
    : (CODES.find(([pattern]) => pattern.test(failure.message))?.[1] ?? '42601')
  const { message, position } = failure
  // Version 15 gives no place for this one.
  if (position <= 0 || message.startsWith('WITH TIES cannot')) return sqlError(code, message)
  if (message !== 'invalid Unicode escape') return sqlError(code, message, { position })
  // In E'…' a backslash and u or U stand at the place, in U&'…' the digits or a plus follow.
  const inE = /^\\[uU]/.test([...sql].slice(position - 1, position + 1).join(''))
  const hint = `Unicode escapes must be ${inE ? '\\uXXXX or \\UXXXXXXXX' : '\\XXXX or \\+XXXXXX'}.`
  return sqlError(inE ? '22025' : '42601', message, { position, hint })
}

/** The tag of a tree node: 'SelectStmt', 'A_Const' … */
export const tagOf = (node: Node): string => {
  for (const tag in node) return tag
  return ''
}
