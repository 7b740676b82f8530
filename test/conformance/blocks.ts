/**
 * Scripts of psql cut into blocks, and blocks of two servers compared.
 *
 * A block is one or more whole lines of a script after which psql has nothing half-typed: a statement, a backslash command,
 * a COPY with its data. After each, `\echo` of a marker is put into the script, so that what a server printed can be told
 * apart block by block whatever it printed.
 */
export interface ScriptBlock {
  readonly text: string
  /** Nothing but comments and blank lines. */
  readonly isEmpty: boolean
}

/** Cuts as psql's own lexer would: quotes, dollar quotes, comments, parentheses, COPY data. */
export function cut(script: string): ScriptBlock[] {
  const blocks: ScriptBlock[] = []
  let lines: string[] = []
  let state: State = START
  /** The statement's own words so far, without comments; for COPY FROM STDIN. */
  let statement = ''
  let isCopyData = false
  let isEmpty = true
  const close = () => {
    blocks.push({ text: lines.join('\n'), isEmpty })
    lines = []
    isEmpty = true
  }
  const all = script.split('\n')
  for (const [i, line] of all.entries()) {
    lines.push(line)
    if (isCopyData) {
      if (line !== '\\.') continue
      isCopyData = false
      close()
      continue
    }
    const scanned = scan(line, state)
    state = scanned.state
    statement += `${scanned.code}\n`
    if (scanned.code.trim() !== '') isEmpty = false
    if (isOpen(state) || scanned.isPending) continue
    if (/\bcopy\b[^;]*\bfrom\s+stdin\b/i.test(statement)) isCopyData = hasData(all, i + 1)
    statement = ''
    if (!isCopyData) close()
  }
  if (lines.some((line) => line !== '')) close()
  return blocks
}

/** A COPY that fails has no data in the script: statements follow. */
function hasData(lines: readonly string[], from: number): boolean {
  const end = lines.indexOf('\\.', from)
  return end >= 0 && !lines.slice(from, end).some((line) => /^\s*[a-z]+ .*;\s*(?:--.*)?$/i.test(line))
}

interface State {
  readonly quote: string | undefined
  readonly isEscaping: boolean
  readonly comment: number
  readonly parens: number
  /** Between BEGIN ATOMIC and its END. */
  readonly atomic: number
  /** A statement has begun and not ended. */
  readonly isPending: boolean
}

const START: State = { quote: undefined, isEscaping: false, comment: 0, parens: 0, atomic: 0, isPending: false }
const isOpen = (state: State): boolean => state.quote !== undefined || state.comment > 0

interface Scanned {
  readonly state: State
  /** The line without comments and without what is quoted. */
  readonly code: string
  readonly isPending: boolean
}

const DOLLAR = /^\$(?:[A-Za-z_\x80-\uffff][\w\x80-\uffff]*)?\$/
const WORD = /^[A-Za-z_][\w$]*/

function scan(line: string, from: State): Scanned {
  let { quote, isEscaping, comment, parens, atomic, isPending } = from
  let code = ''
  let lastWord = ''
  for (let i = 0; i < line.length; ) {
    const rest = line.slice(i)
    const char = line[i]!
    if (comment > 0) {
      if (rest.startsWith('*/')) comment--
      else if (rest.startsWith('/*')) comment++
      i += rest.startsWith('*/') || rest.startsWith('/*') ? 2 : 1
    } else if (quote !== undefined) {
      if (isEscaping && char === '\\') i += 2
      else if (rest.startsWith(quote)) {
        i += quote.length
        if (quote.length === 1 && line[i] === quote) i++
        else quote = undefined
      } else i++
    } else if (rest.startsWith('--')) break
    else if (rest.startsWith('/*')) {
      comment = 1
      i += 2
    } else if (char === "'" || char === '"') {
      quote = char
      isEscaping = char === "'" && /e$/i.test(lastWord) && lastWord.length === 1 && /e'/i.test(line.slice(i - 1, i + 1))
      isPending = true
      code += char
      i++
    } else if (DOLLAR.test(rest) && !/[\w$]$/.test(line.slice(0, i))) {
      quote = DOLLAR.exec(rest)![0]
      isEscaping = false
      isPending = true
      i += quote.length
    } else if (char === '\\') {
      // A backslash command takes the rest of the line; \; is only a separator, the \g family sends what is pending.
      const command = /^\\([A-Za-z]\w*|\S)/.exec(rest)?.[1] ?? ''
      code += rest
      if (command === ';') {
        i += 2
        isPending = true
        continue
      }
      if (/^(?:g|gx|gset|gexec|gdesc|crosstabview|watch|r|reset|p)$/.test(command)) {
        isPending = command === 'p' ? isPending : false
        parens = 0
      }
      break
    } else if (WORD.test(rest)) {
      lastWord = WORD.exec(rest)![0]
      const before = code
      code += lastWord
      i += lastWord.length
      isPending = true
      if (/^atomic$/i.test(lastWord) && /begin\s*$/i.test(before)) atomic++
      else if (atomic > 0 && /^case$/i.test(lastWord)) atomic++
      else if (atomic > 0 && /^end$/i.test(lastWord)) atomic--
    } else {
      code += char
      i++
      if (char === '(') parens++
      else if (char === ')') parens = Math.max(0, parens - 1)
      if (char === ';' && parens === 0 && atomic === 0) isPending = false
      else if (!/\s/.test(char)) isPending = true
    }
  }
  const state: State = { quote, isEscaping, comment, parens: isPending ? parens : 0, atomic, isPending }
  return { state, code, isPending }
}

const MARKER = '@@@ block'

/** The script with a marker before each block. */
export const marked = (blocks: readonly ScriptBlock[]): string =>
  blocks.map(({ text }, i) => `\\echo ${MARKER} ${i}\n${text}\n`).join('')

/** What was printed for each block, by its number; a block that was not reached is missing. */
export function printedBlocks(out: string): Map<number, string> {
  const printed = new Map<number, string>()
  let current = -1
  let lines: string[] = []
  const keep = () => {
    if (current >= 0) printed.set(current, lines.join('\n').trimEnd())
  }
  for (const line of out.split('\n')) {
    const found = line.startsWith(MARKER) ? Number(line.slice(MARKER.length)) : Number.NaN
    if (Number.isNaN(found)) lines.push(line)
    else {
      keep()
      current = found
      lines = []
    }
  }
  keep()
  return printed
}

/** What an expected file (of `psql -a -q`) has for each block: the lines between its echo and the next one's. */
export function expectedBlocks(blocks: readonly ScriptBlock[], expected: string): Map<number, string> {
  const lines = expected.split('\n')
  const printed = new Map<number, string>()
  let at = 0
  for (const [i, block] of blocks.entries()) {
    const own = block.text.split('\n')
    const data = own.findIndex((_, n) => n > 0 && /\bfrom\s+stdin\b/i.test(own[n - 1]!))
    // COPY's data is not echoed.
    for (const line of data < 0 ? own : own.slice(0, data)) {
      if (lines[at] === line) at++
      else if (line !== '') return printed
    }
    const next = blocks
      .slice(i + 1)
      .flatMap(({ text }) => text.split('\n'))
      .find((line) => line !== '')
    const end = next === undefined ? lines.length : lines.indexOf(next, at)
    if (end < 0) return printed
    // Blank lines before the next echo belong to it.
    printed.set(i, lines.slice(at, end).join('\n').trimEnd())
    at = end
    const following = blocks[i + 1]?.text.split('\n') ?? []
    for (let blank = 0; following[blank] === '' && lines[at - 1] === '' && at > 0; blank++) at--
  }
  return printed
}

export type Grade = 'exact' | 'semantic' | 'failed'

export function grade(expected: string, got: string | undefined): Grade {
  if (got === undefined) return 'failed'
  if (tidy(expected) === tidy(got)) return 'exact'
  return meaning(expected) === meaning(got) ? 'semantic' : 'failed'
}

/** Without what tells of PostgreSQL's source files and of psql's own place in the script. */
const tidy = (printed: string): string =>
  printed
    .split('\n')
    .filter((line) => !line.startsWith('LOCATION:  '))
    .map((line) => line.replace(/^psql:[^ ]*: /, '').trimEnd())
    .join('\n')

const ERROR = /^(ERROR|FATAL|PANIC): {2}(?:([0-9A-Z]{5}): )?(.*)$/
const ASIDE =
  /^(?:DETAIL|HINT|CONTEXT|LINE \d+|QUERY|SCHEMA NAME|TABLE NAME|COLUMN NAME|CONSTRAINT NAME|DATATYPE NAME):/
const NOTICE = /^(?:NOTICE|WARNING|INFO|LOG|DEBUG): {2}/

/** Rows and SQLSTATEs: without the words of errors, notices, and what explains them. */
function meaning(printed: string): string {
  const kept: string[] = []
  let isAside = false
  for (const line of tidy(printed).split('\n')) {
    const error = ERROR.exec(line)
    if (error !== null) {
      kept.push(`ERROR ${error[2] ?? error[3]}`)
      isAside = true
    } else if (NOTICE.test(line) || ASIDE.test(line)) isAside = true
    else if (isAside && /^(?:\s|$)/.test(line)) continue
    else {
      isAside = false
      if (line !== '') kept.push(line)
    }
  }
  return kept.join('\n')
}
