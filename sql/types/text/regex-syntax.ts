/**
 * PostgreSQL's advanced regular expressions (ARE) in RE2's words, and as a tree for the engine of regex-engine.ts: RE2
 * runs in linear time and so knows no back-references and no lookahead. The reader checks the syntax as PostgreSQL does, because RE2
 * would take some of what PostgreSQL refuses and the other way round.
 * Source: PostgreSQL manual, "POSIX Regular Expressions".
 */
import { notSupported, sqlError } from '../error.ts'
import type { RegexNode } from './regex-engine.ts'

export interface RegexFlags {
  readonly ignoreCase: boolean
  /** `.` and [^…] do not match newline. */
  readonly newlineStops: boolean
  /** ^ and $ match at line ends. */
  readonly newlineAnchors: boolean
  readonly expanded: boolean
  readonly kind: 'advanced' | 'extended' | 'basic' | 'literal'
}

/** Which match is taken: the longest or shortest, by the first quantifier of the outermost branch. */
export interface Translation {
  readonly pattern: string
  /** The same with every quantifier greedy, or every one reluctant: only the overall match is asked of them. */
  readonly greedy: string
  readonly reluctant: string
  readonly groups: number
  readonly prefersShortest: boolean
  /** Some quantifiers are greedy and some are not. */
  readonly mixed: boolean
  readonly ignoreCase: boolean
  readonly tree: RegexNode
  /** RE2 cannot say it: it has back-references or lookahead. */
  readonly needsEngine: boolean
}

const invalid = (what: string) => sqlError('2201B', `invalid regular expression: ${what}`)

const CLASSES: Readonly<Record<string, string>> = {
  alnum: '\\p{L}\\p{N}',
  alpha: '\\p{L}',
  blank: ' \\t',
  cntrl: '\\x00-\\x1f\\x7f',
  digit: '0-9',
  graph: '!-~\\x{a1}-\\x{10ffff}',
  lower: '\\p{Ll}',
  print: ' -~\\x{a0}-\\x{10ffff}',
  punct: '!-/:-@\\[-`{-~\\p{P}',
  space: '\\x09-\\x0d \\x{85}\\x{1680}\\x{2000}-\\x{2006}\\x{2008}-\\x{200a}\\x{2028}\\x{2029}\\x{205f}\\x{3000}',
  upper: '\\p{Lu}',
  xdigit: '0-9A-Fa-f',
  word: '\\p{L}\\p{N}_',
}
const SHORTHANDS: Readonly<Record<string, string>> = { d: CLASSES.digit!, s: CLASSES.space!, w: CLASSES.word! }
/** Complements inside brackets need a class RE2 can nest: spelled out by ranges. */
const COMPLEMENTS: Readonly<Record<string, string>> = {
  D: '\\x{0}-/:-\\x{10ffff}',
  S: '\\S',
  W: '\\W',
}
const CONTROL: Readonly<Record<string, number>> = { a: 7, b: 8, B: 92, e: 27, f: 12, n: 10, r: 13, t: 9, v: 11 }
/** Positions; the word borders look behind only. */
const CONSTRAINTS: Readonly<Record<string, string>> = {
  A: '\\A',
  Z: '\\z',
  y: '\\b',
  Y: '\\B',
  m: '(?:(?<!\\w)\\b)',
  M: '(?:(?<=\\w)\\b)',
}
const COLLATING: Readonly<Record<string, string>> = {
  NUL: '\0',
  tab: '\t',
  newline: '\n',
  'carriage-return': '\r',
  space: ' ',
  hyphen: '-',
  comma: ',',
  period: '.',
  slash: '/',
  backslash: '\\',
  colon: ':',
  semicolon: ';',
  underscore: '_',
  asterisk: '*',
  'left-square-bracket': '[',
  'right-square-bracket': ']',
  'vertical-line': '|',
  tilde: '~',
  circumflex: '^',
  'dollar-sign': '$',
}
const REPEAT_MAX = 255

const META = /[\\^$.|?*+()[\]{}/]/
const quoteChar = (c: string): string => {
  const point = c.codePointAt(0)!
  return META.test(c) ? `\\${c}` : point < 0x20 || point === 0x7f ? `\\x{${point.toString(16)}}` : c
}
const quoteInClass = (c: string): string => `\\x{${c.codePointAt(0)!.toString(16)}}`

interface Piece {
  readonly own: string
  readonly greedy: string
  readonly reluctant: string
  readonly node: RegexNode
}
type Preference = 'longest' | 'shortest' | undefined
interface Preferring extends Piece {
  readonly preference: Preference
}
const same = (text: string, node: RegexNode): Piece => ({ own: text, greedy: text, reluctant: text, node })

/** RE2's words in JavaScript's, for one character or one position. */
const inJavaScript = (text: string): string =>
  text
    .replaceAll(/\\x\{([0-9a-f]+)\}/g, '\\u{$1}')
    .replaceAll('\\A', '(?<![^])')
    .replaceAll('\\z', '(?![^])')
    .replaceAll('(?s:.)', '[^]')

const ASCII_END = 128

function characterNode(text: string, ignoreCase: boolean): RegexNode {
  const matcher = new RegExp(`^${inJavaScript(text)}$`, ignoreCase ? 'iu' : 'u')
  const known: (boolean | undefined)[] = []
  return {
    kind: 'character',
    test(point) {
      if (point >= ASCII_END) return matcher.test(String.fromCodePoint(point))
      return (known[point] ??= matcher.test(String.fromCharCode(point)))
    },
  }
}

const POSITIONS: Readonly<Record<string, (s: string, at: number) => boolean>> = {
  '\\A': (_, at) => at === 0,
  '\\z': (s, at) => at === s.length,
  '(?m:^)': (s, at) => at === 0 || s[at - 1] === '\n',
  '(?m:$)': (s, at) => at === s.length || s[at] === '\n',
}
const WORD = /[\p{L}\p{N}_]/u
const isWordAt = (s: string, at: number): boolean => at >= 0 && at < s.length && WORD.test(s[at]!)
const WORD_POSITIONS: Readonly<Record<string, (before: boolean, after: boolean) => boolean>> = {
  '\\b': (before, after) => before !== after,
  '\\B': (before, after) => before === after,
  '(?:(?<!\\w)\\b)': (before, after) => !before && after,
  '(?:(?<=\\w)\\b)': (before, after) => before && !after,
}

function assertionNode(text: string): RegexNode {
  const holds = POSITIONS[text]
  if (holds !== undefined) return { kind: 'assertion', holds }
  const borders = WORD_POSITIONS[text]!
  return { kind: 'assertion', holds: (s, at) => borders(isWordAt(s, at - 1), isWordAt(s, at)) }
}

class Reader {
  readonly #source: readonly string[]
  readonly #flags: RegexFlags
  #at = 0
  groups = 0
  sawGreedy = false
  sawReluctant = false
  needsEngine = false
  /** Lookaround inside which the reader is: its groups count for nothing there. */
  #looks = 0
  readonly #groupNodes: (RegexNode | undefined)[] = []

  constructor(source: string, flags: RegexFlags) {
    this.#source = [...source]
    this.#flags = flags
  }

  #peek(offset = 0): string | undefined {
    return this.#source[this.#at + offset]
  }
  #take(): string | undefined {
    return this.#source[this.#at++]
  }
  #looking(text: string): boolean {
    for (let i = 0; i < text.length; i++) if (this.#source[this.#at + i] !== text[i]) return false
    return true
  }

  /** In expanded syntax blanks and #comments; (?#comments) everywhere. */
  #skipIgnored(): void {
    for (;;) {
      if (this.#looking('(?#')) {
        while (this.#at < this.#source.length && this.#peek() !== ')') this.#at++
        this.#at++
      } else if (this.#flags.expanded && this.#peek() !== undefined && /\s/.test(this.#peek()!)) this.#at++
      else if (this.#flags.expanded && this.#peek() === '#') {
        while (this.#at < this.#source.length && this.#peek() !== '\n') this.#at++
      } else return
    }
  }

  whole(): Preferring {
    const expression = this.#alternatives()
    if (this.#at < this.#source.length) throw invalid('parentheses () not balanced')
    return expression
  }

  #alternatives(): Preferring {
    const branches = [this.#branch()]
    while (this.#peek() === '|') {
      this.#at++
      branches.push(this.#branch())
    }
    return {
      node: branches.length === 1 ? branches[0]!.node : { kind: 'alternation', branches: branches.map((b) => b.node) },
      own: branches.map((b) => b.own).join('|'),
      greedy: branches.map((b) => b.greedy).join('|'),
      reluctant: branches.map((b) => b.reluctant).join('|'),
      // Two or more branches always prefer the longest.
      preference: branches.length === 1 ? branches[0]!.preference : 'longest',
    }
  }

  #branch(): Preferring {
    let own = ''
    let greedy = ''
    let reluctant = ''
    let preference: Preference
    const parts: RegexNode[] = []
    const shortest: boolean[] = []
    for (;;) {
      this.#skipIgnored()
      const next = this.#peek()
      if (next === undefined || next === '|' || next === ')') {
        const node: RegexNode = parts.length === 1 ? parts[0]! : { kind: 'concat', parts, shortest }
        return { own, greedy, reluctant, preference, node }
      }
      const atom = this.#atom()
      const quantified = this.#quantified(atom)
      own += quantified.own
      greedy += quantified.greedy
      reluctant += quantified.reluctant
      preference ??= quantified.preference
      parts.push(quantified.node)
      shortest.push(quantified.preference === 'shortest')
    }
  }

  #quantified(atom: Atom): Preferring {
    this.#skipIgnored()
    const quantifier = this.#quantifier()
    if (quantifier === undefined) return { ...atom.piece, preference: atom.preference }
    if (atom.isConstraint) throw invalid('quantifier operand invalid')
    const { text, isReluctant, isFixed, min, max } = quantifier
    const preference = isFixed ? atom.preference : isReluctant ? 'shortest' : 'longest'
    if (isReluctant) this.sawReluctant = true
    else if (!isFixed) this.sawGreedy = true
    this.#skipIgnored()
    const again = this.#peek()
    if (again === '*' || again === '+' || again === '?') throw invalid('quantifier operand invalid')
    return {
      own: atom.piece.own + text + (isReluctant ? '?' : ''),
      greedy: atom.piece.greedy + text,
      reluctant: `${atom.piece.reluctant}${text}?`,
      preference,
      node: { kind: 'repeat', inner: atom.piece.node, min, max, shortest: preference === 'shortest' },
    }
  }

  #quantifier(): { text: string; isReluctant: boolean; isFixed: boolean; min: number; max: number } | undefined {
    const c = this.#peek()
    let text: string
    let isFixed = false
    let min = 0
    let max = Number.POSITIVE_INFINITY
    if (c === '*' || c === '+' || c === '?') {
      this.#at++
      text = c
      if (c === '+') min = 1
      if (c === '?') max = 1
    } else if (c === '{' && /[0-9]/.test(this.#peek(1) ?? '')) {
      this.#at++
      const low = this.#number()
      let high: number | undefined = low
      // {m} leaves the preference to what it repeats, {m,m} does not.
      isFixed = this.#peek() !== ','
      if (!isFixed) {
        this.#at++
        high = /[0-9]/.test(this.#peek() ?? '') ? this.#number() : undefined
      }
      const close = this.#take()
      if (close !== '}') throw invalid(close === undefined ? 'braces {} not balanced' : 'invalid repetition count(s)')
      if (low > REPEAT_MAX || (high !== undefined && (high > REPEAT_MAX || high < low))) {
        throw invalid('invalid repetition count(s)')
      }
      min = low
      max = high ?? Number.POSITIVE_INFINITY
      text = high === low ? `{${low}}` : `{${low},${high ?? ''}}`
    } else return undefined
    if (this.#flags.kind === 'advanced' && this.#peek() === '?') {
      this.#at++
      return { text, isReluctant: true, isFixed, min, max }
    }
    return { text, isReluctant: false, isFixed, min, max }
  }

  #number(): number {
    let digits = ''
    while (/[0-9]/.test(this.#peek() ?? '')) digits += this.#take()
    return Number(digits)
  }

  #atom(): Atom {
    const c = this.#take()!
    if (c === '(') return this.#group()
    if (c === '[') {
      const text = this.#brackets()
      return WORD_POSITIONS[text] === undefined ? this.#plain(text) : constraint(text)
    }
    if (c === '.') return this.#plain(this.#flags.newlineStops ? '[^\\n]' : '(?s:.)')
    if (c === '^') return constraint(this.#flags.newlineAnchors ? '(?m:^)' : '\\A')
    if (c === '$') return constraint(this.#flags.newlineAnchors ? '(?m:$)' : '\\z')
    if (c === '\\') return this.#escape()
    if (c === '*' || c === '+' || c === '?') throw invalid('quantifier operand invalid')
    if (c === '{' && /[0-9]/.test(this.#peek() ?? '')) throw invalid('quantifier operand invalid')
    return this.#plain(quoteChar(c))
  }

  #plain(text: string): Atom {
    return {
      piece: same(text, characterNode(text, this.#flags.ignoreCase)),
      isConstraint: false,
      preference: undefined,
    }
  }

  #group(): Atom {
    let open = '('
    let index = 0
    let behind = false
    let negative = false
    let isLook = false
    if (this.#flags.kind === 'advanced' && this.#peek() === '?') {
      if (this.#looking('?:')) open = '(?:'
      else if (this.#looking('?=') || this.#looking('?!') || this.#looking('?<=') || this.#looking('?<!')) {
        behind = this.#peek(1) === '<'
        open = `(${this.#source.slice(this.#at, this.#at + (behind ? 3 : 2)).join('')}`
        negative = open.endsWith('!')
        isLook = true
        if (!behind) this.needsEngine = true
      } else throw invalid('quantifier operand invalid')
      this.#at += open.length - 1
    } else if (this.#looks > 0) open = '(?:'
    else index = ++this.groups
    if (isLook) this.#looks++
    const inner = this.#alternatives()
    if (isLook) this.#looks--
    if (this.#take() !== ')') throw invalid('parentheses () not balanced')
    const node: RegexNode = isLook
      ? { kind: 'look', inner: inner.node, behind, negative }
      : index > 0
        ? { kind: 'group', index, inner: inner.node }
        : inner.node
    if (index > 0) this.#groupNodes[index] = node
    const piece = {
      own: `${open}${inner.own})`,
      greedy: `${open}${inner.greedy})`,
      reluctant: `${open}${inner.reluctant})`,
      node,
    }
    return { piece, isConstraint: isLook, preference: inner.preference }
  }

  #escape(): Atom {
    if (this.#at >= this.#source.length) throw invalid('invalid escape \\ sequence')
    const c = this.#peek()!
    if (this.#flags.kind === 'extended' || !/[A-Za-z0-9]/.test(c)) {
      this.#at++
      return this.#plain(quoteChar(c))
    }
    const position = CONSTRAINTS[c]
    if (position !== undefined) {
      this.#at++
      return constraint(position)
    }
    const shorthand = SHORTHANDS[c.toLowerCase()]
    if (shorthand !== undefined) {
      this.#at++
      const isComplement = c !== c.toLowerCase()
      const stops = isComplement && this.#flags.newlineStops && c !== 'S' ? '\\n' : ''
      return this.#plain(`[${isComplement ? '^' : ''}${shorthand}${stops}]`)
    }
    const reference = this.#reference()
    if (reference !== undefined) return reference
    return this.#plain(quoteChar(this.#characterEscape()))
  }

  /** \1 and on, of groups that are closed. */
  #reference(): Atom | undefined {
    const digits = /^[1-9][0-9]{0,2}/.exec(this.#source.slice(this.#at, this.#at + 3).join(''))?.[0]
    if (digits === undefined || (digits.length > 1 && Number(digits) > this.groups)) return undefined
    const index = Number(digits)
    const group = this.#groupNodes[index]
    if (group === undefined || this.#looks > 0) throw invalid('invalid backreference number')
    this.#at += digits.length
    this.needsEngine = true
    const node: RegexNode = { kind: 'reference', index, group, ignoreCase: this.#flags.ignoreCase }
    return { piece: same('', node), isConstraint: false, preference: undefined }
  }

  /** What follows a backslash and stands for one character, in brackets too. */
  #characterEscape(): string {
    const c = this.#take()
    if (c === undefined) throw invalid('invalid escape \\ sequence')
    if (!/[A-Za-z0-9]/.test(c)) return c
    if (c === 'c') {
      const letter = this.#take()
      if (letter === undefined) throw invalid('invalid escape \\ sequence')
      return String.fromCharCode(letter.codePointAt(0)! & 0x1f)
    }
    if (c === 'x' || c === 'u' || c === 'U') return this.#hexEscape(c)
    if (/[0-9]/.test(c)) return this.#digitEscape(c)
    const code = CONTROL[c]
    if (code === undefined) throw invalid('invalid escape \\ sequence')
    return String.fromCharCode(code)
  }

  #hexEscape(kind: 'x' | 'u' | 'U'): string {
    const most = kind === 'u' ? 4 : kind === 'U' ? 8 : Infinity
    let digits = ''
    while (digits.length < most && /[0-9a-fA-F]/.test(this.#peek() ?? '')) digits += this.#take()
    const point = Number.parseInt(digits, 16)
    if (digits === '' || (kind !== 'x' && digits.length < most) || point > 0x10ffff) {
      throw invalid('invalid escape \\ sequence')
    }
    return String.fromCodePoint(point)
  }

  /** \0, octal \12 and \123. */
  #digitEscape(first: string): string {
    let digits = first
    while (digits.length < 3 && /[0-9]/.test(this.#peek() ?? '')) digits += this.#take()
    const octal = /^[0-7]+/.exec(digits)?.[0]
    if (octal === undefined) throw invalid('invalid backreference number')
    this.#at -= digits.length - octal.length
    return String.fromCharCode(Number.parseInt(octal, 8))
  }

  #brackets(): string {
    if (this.#looking('[:<:]]')) {
      this.#at += 6
      return CONSTRAINTS.m!
    }
    if (this.#looking('[:>:]]')) {
      this.#at += 6
      return CONSTRAINTS.M!
    }
    const isComplement = this.#peek() === '^'
    if (isComplement) this.#at++
    let out = ''
    for (let first = true; ; first = false) {
      const c = this.#peek()
      if (c === undefined) throw invalid('brackets [] not balanced')
      if (c === ']' && !first) break
      out += this.#member(first)
    }
    this.#at++
    if (isComplement && this.#flags.newlineStops) out += '\\n'
    return `[${isComplement ? '^' : ''}${out}]`
  }

  /** One member of a bracket expression: a character, a range or a class. */
  #member(first: boolean): string {
    const low = this.#endpoint()
    if (low.kind === 'class') return low.text
    if (low.character === '-' && !first && this.#peek() !== ']' && this.#peek() !== '-')
      throw invalid('invalid character range')
    if (this.#peek() === '-' && this.#peek(1) !== ']' && this.#peek(1) !== undefined) {
      this.#at++
      const high = this.#endpoint()
      if (high.kind === 'class') throw invalid('invalid character range')
      if (high.character.codePointAt(0)! < low.character.codePointAt(0)!) throw invalid('invalid character range')
      return `${quoteInClass(low.character)}-${quoteInClass(high.character)}`
    }
    return quoteInClass(low.character)
  }

  #endpoint():
    | { readonly kind: 'character'; readonly character: string }
    | { readonly kind: 'class'; readonly text: string } {
    const c = this.#take()
    if (c === undefined) throw invalid('brackets [] not balanced')
    if (c === '[' && (this.#peek() === ':' || this.#peek() === '.' || this.#peek() === '=')) {
      const mark = this.#take()!
      let name = ''
      while (this.#at < this.#source.length && !this.#looking(`${mark}]`)) name += this.#take()
      if (this.#at >= this.#source.length) throw invalid('brackets [] not balanced')
      this.#at += 2
      if (mark === ':') {
        const members = CLASSES[name]
        if (members === undefined) throw invalid('invalid character class')
        return { kind: 'class', text: members }
      }
      const character = [...name].length === 1 ? name : COLLATING[name]
      if (character === undefined) throw invalid('invalid collating element')
      return { kind: 'character', character }
    }
    if (c === '\\' && this.#flags.kind === 'advanced') {
      const next = this.#peek()
      const members = next === undefined ? undefined : (SHORTHANDS[next] ?? COMPLEMENTS[next])
      if (members !== undefined) {
        this.#at++
        return { kind: 'class', text: members }
      }
      return { kind: 'character', character: this.#characterEscape() }
    }
    return { kind: 'character', character: c }
  }
}

interface Atom {
  readonly piece: Piece
  readonly isConstraint: boolean
  readonly preference: Preference
}
const constraint = (text: string): Atom => ({
  piece: same(text, assertionNode(text)),
  isConstraint: true,
  preference: undefined,
})

/** Letters of a flags argument or of an embedded (?xyz), onto flags. `g` is the caller's. */
export function withFlag(flags: RegexFlags, letter: string): RegexFlags | undefined {
  switch (letter) {
    case 'b':
      return { ...flags, kind: 'basic' }
    case 'e':
      return { ...flags, kind: 'extended' }
    case 'q':
      return { ...flags, kind: 'literal' }
    case 'c':
      return { ...flags, ignoreCase: false }
    case 'i':
      return { ...flags, ignoreCase: true }
    case 'm':
    case 'n':
      return { ...flags, newlineStops: true, newlineAnchors: true }
    case 'p':
      return { ...flags, newlineStops: true, newlineAnchors: false }
    case 's':
      return { ...flags, newlineStops: false, newlineAnchors: false }
    case 't':
      return { ...flags, expanded: false }
    case 'w':
      return { ...flags, newlineStops: false, newlineAnchors: true }
    case 'x':
      return { ...flags, expanded: true }
    default:
      return undefined
  }
}

/** Takes a director (***:, ***=) and embedded options (?xyz) off the front. */
function prefixes(source: string, given: RegexFlags): { source: string; flags: RegexFlags } {
  let flags = given
  let rest = source
  if (flags.kind === 'literal') return { source, flags }
  if (rest.startsWith('***=')) return { source: rest.slice(4), flags: { ...flags, kind: 'literal' } }
  if (rest.startsWith('***:')) {
    rest = rest.slice(4)
    flags = { ...flags, kind: 'advanced' }
  } else if (rest.startsWith('***')) throw invalid('quantifier operand invalid')
  const options = flags.kind === 'advanced' ? /^\(\?([a-z]+)\)/.exec(rest) : null
  if (options !== null) {
    for (const letter of options[1]!) {
      const next = withFlag(flags, letter)
      if (next === undefined) throw invalid('invalid embedded option')
      flags = next
    }
    rest = rest.slice(options[0].length)
  }
  return { source: rest, flags }
}

export function translate(text: string, given: RegexFlags): Translation {
  const { source, flags } = prefixes(text, given)
  if (flags.kind === 'basic') throw notSupported('basic regular expression syntax')
  if (flags.kind === 'literal') {
    const pattern = [...source].map(quoteChar).join('')
    return {
      pattern,
      greedy: pattern,
      reluctant: pattern,
      groups: 0,
      prefersShortest: false,
      mixed: false,
      ignoreCase: flags.ignoreCase,
      tree: NOTHING,
      needsEngine: false,
    }
  }
  const reader = new Reader(source, flags)
  const { own, greedy, reluctant, preference, node } = reader.whole()
  const prefersShortest = preference === 'shortest'
  return {
    pattern: own,
    greedy,
    reluctant,
    groups: reader.groups,
    prefersShortest,
    mixed: reader.sawReluctant && (reader.sawGreedy || !prefersShortest),
    ignoreCase: flags.ignoreCase,
    tree: node,
    needsEngine: reader.needsEngine,
  }
}

/** Literal patterns have no use for a tree. */
const NOTHING: RegexNode = { kind: 'concat', parts: [], shortest: [] }
