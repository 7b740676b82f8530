/**
 * PostgreSQL's default text search parser: cuts text into words, numbers, hosts, addresses, paths, tags and the blanks
 * between them. What a character begins is often known only later, so the machine tries readings in order: it remembers where
 * it was, goes on, and comes back to try the next one when a reading fails.
 *
 *     'up-to-date at example.com/x'  →  asciihword up-to-date, hword_asciipart up, blank -, … url example.com/x, host, url_path
 *
 * https://www.postgresql.org/docs/15/textsearch-parsers.html
 */
import { invariant } from '../../../storage/keys/invariant.ts'
import { isAsciiLetter, isDigit, isLetter, isMark, isSpace } from './characters.ts'

/** Token types, numbered from 1 as PostgreSQL does. */
export const TOKEN = {
  asciiword: 1,
  word: 2,
  numword: 3,
  email: 4,
  url: 5,
  host: 6,
  sfloat: 7,
  version: 8,
  hword_numpart: 9,
  hword_part: 10,
  hword_asciipart: 11,
  blank: 12,
  tag: 13,
  protocol: 14,
  numhword: 15,
  asciihword: 16,
  hword: 17,
  url_path: 18,
  file: 19,
  float: 20,
  int: 21,
  uint: 22,
  entity: 23,
} as const
export type TokenType = (typeof TOKEN)[keyof typeof TOKEN]

export interface Token {
  readonly type: TokenType
  readonly text: string
}

/**
 * One line a state: rules in order, the first whose test holds is taken. A rule is a test, what happens, and where to go:
 *
 *     a>x   take the character, on in state x (nothing behind >: stay)     a?x   try x; if it fails, go on with the next rule
 *     a+x   as >, and drop the last thing that could be returned to        a^    this reading has failed: back to the last try
 *     a=t   a token of type t ends before this character (:x the state after it, otherwise `base`)
 *     a~x   go on in x with the same character                             a&    take the character for the state that tried, which goes on behind the rule that did
 *
 * Tests: a ASCII letter, l letter, d digit, n letter or digit, m mark, s space, x hexadecimal digit, u character of a URL, $ end
 * of the text, 'c' this character, _ any. Words in braces ask more (see TESTS) or do more (see EFFECTS).
 */
const STATES = `
base         $> '<'?tag {ignored}>blank a>ascii l>word d>uint '-'?sign '+'?sign '&'?entity '~'?tilde '/'?file1 '.'?dot _>blank
numword      $=numword n> m> '@'?email '/'?file1 '.'?file2 '-'?hnum1 _=numword
ascii        $=asciiword a> '.'?domain1 '.'?file2 '-'?host1 '-'?hascii1 '_'?host1 '@'?email ':'?proto1 '/'?file1 d?host d>numword l>word m>word _=asciiword
word         $=word l> m> d>numword '-'?hword1 _=word
uint         $=uint d> '.'?domain1 '.'?udec1 'e'?exp1 'E'?exp1 '-'?host1 '_'?host1 '@'?email a?host l>numword m>numword '/'?file1 _=uint
sign         $^ d+int _^
int          $=int d> '.'?dec1 'e'?exp1 'E'?exp1 _=int
blank        $=blank '<'=blank {ignored}> '-'=blank '+'=blank '&'=blank '/'=blank {apart}> _=blank
udec1        $^ d+udec _^
udec         $=float d> '.'?version1 'e'?exp1 'E'?exp1 _=float
dec1         $^ d+dec _^
dec          $=float d> '.'?signver 'e'?exp1 'E'?exp1 _=float
signver      $^ d~signver2{restart} _^
signver2     $^ d=blank:uint _>
version1     $^ d+version _^
version      $=version d> '.'?version1 _=version
exp1         $^ d+exp '+'>exp2 '-'>exp2 _^
exp2         $^ d+exp _^
exp          $=sfloat d> _=sfloat
entity       $^ '#'>entnum1 a>entname ':'>entname '_'>entname _^
entname      $^ n> ':'> '_'> '.'> '-'> ';'>entend _^
entnum1      $^ 'x'>enthex1 'X'>enthex1 d>entnum _^
enthex1      $^ x>enthex _^
entnum       $^ d> ';'>entend _^
enthex       $^ x> ';'>entend _^
entend       _=entity
tag          $^ '/'?tagclose '!'?comment1 '?'?xml a?tagname ':'?tagname '_'?tagname _^
xml          $^ 'x'>intag _^
tagclose     $^ a>tagname _^
tagname      $^ '/'>tagslash '>'>tagend{script} s>intag{script} n> ':'> '_'> '.'> '-'> _^
tagslash     $^ '>'>tagend _^
intag        $^ '>'>tagend{script} '''>tagquote '"'>tagdouble a> d> '='> '-'> '_'> '#'> '/'> ':'> '.'> '&'> '?'> '%'> '~'> s>{script} _^
tagquote     $^ '\\'?escape '''>intag _>
tagdouble    $^ '\\'?escape '"'>intag _>
escape       $^ _&
tagend       _=tag
comment1     $^ '-'>comment2 'D'>intag 'd'>intag _^
comment2     $^ '-'>comment _^
comment      $^ '-'>comend1 _>
comend1      $^ '-'>comend2 _>comment
comend2      $^ '-'> '>'>tagend _>comment
domain1      $^ a>domain2 d>host _^
domain2      $^ a>domain d?host '-'?host1 '_'?host1 '.'?domain1 '@'?email _^
domain       $=host a> d?host ':'?port1 '-'?host1 '_'?host1 '.'?domain1 '@'?email d^ {hostonly}=host:path '/'?furl _=host
port1        $^ d>port _^
port         $=host d> {hostonly}=host:path '/'?furl _=host
host1        $^ d>host a>host _^
host         $^ d> a> '@'?email '.'?domain1 '-'?host1 '_'?host1 _^
email        {hostonly}^ {host}=email _^
file1        $^ a>file d>file '.'>path1 '_'>file '~'?tilde _^
tilde        $^ a>file d>file '_'>file '/'>file1 _^
path1        $^ a>file d>file '_'>file '.'>path2 '/'>file1 _^
dot          $^ '.'>path2 '/'>file1 _^
path2        $=file '/'?file1 '/'=file s=file _^
file         $=file a> d> '.'?file2 '_'> '-'> '/'?file1 _=file
file2        $^ a+file d+file '_'+file _^
urlpath1     $^ u>urlpath _^
path         _>urlpath
urlpath      $=url_path u> _=url_path
furl         $^ {path}=url{rewind} _^
proto1       $^ '/'>proto2 _^
proto2       $^ '/'>proto3 _^
proto3       _=protocol
hascii1      $^ a>hascii l>hword d>hdigit _^
hascii       $=asciihword:part{back} a> l>hword m>hword d>hnum '-'?hascii1 _=asciihword:part{back}
hword1       $^ l>hword d>hdigit _^
hword        $=hword:part{back} l> m> d>hnum '-'?hword1 _=hword:part{back}
hnum1        $^ l>hnum d>hdigit _^
hnum         $=numhword:part{back} n> m> '-'?hnum1 _=numhword:part{back}
hdigit       $^ d> l>hnum m>hnum _^
part         $~base a>partascii l>partword d?partuint '-'?parthyphen _~base
parthyphen   $^ n=blank:part m=blank:part _^
partword     $=hword_part l> m> d>partnum _=hword_part:part
partascii    $=hword_asciipart a> l>partword m>partword d>partnum _=hword_asciipart:part
partnum      $=hword_numpart n> m> _=hword_numpart:part
partuint     $^ d> l+partnum m+partnum _^
`

/** Where a reading is: the next character, and how much of the token it has. */
interface Reading {
  at: number
  length: number
  state: State
  /** Where to return to when this reading fails; it goes on behind `tried`. */
  back: Reading | undefined
  tried: number
}

type Test = (p: TokenParser, c: string) => boolean
type Effect = (p: TokenParser) => void
type Action = '>' | '?' | '+' | '^' | '=' | '~' | '&'

interface Rule {
  readonly test: Test
  readonly action: Action
  readonly to: State | undefined
  readonly token: TokenType | undefined
  readonly effect: Effect | undefined
}
interface State {
  readonly name: string
  readonly rules: Rule[]
}

const NOT_IN_URLS = new Set('"<>\\^`{|}')
/** The empty string stands for the end of the text. */
const TESTS: Readonly<Record<string, Test>> = {
  $: (_, c) => c === '',
  _: () => true,
  a: (_, c) => isAsciiLetter(c),
  l: (_, c) => c !== '' && isLetter(c),
  d: (_, c) => isDigit(c) && c !== '',
  n: (_, c) => c !== '' && (isLetter(c) || isDigit(c)),
  m: (_, c) => isMark(c),
  s: (_, c) => isSpace(c),
  x: (_, c) => /^[0-9a-fA-F]$/.test(c),
  u: (_, c) => c > ' ' && c < '\x7f' && !NOT_IN_URLS.has(c),
  '{apart}': (_, c) => c === '' || !(isLetter(c) || isDigit(c)),
  /** Inside <script> and <style>. */
  '{ignored}': (p) => p.ignoring,
  /** True once: only the host of a URL was wanted. */
  '{hostonly}': (p) => p.stopAtHost(),
  /** A whole host stands here: it becomes part of the token. */
  '{host}': (p) => p.takeHost(),
  /** A whole path stands here: it becomes part of the token. */
  '{path}': (p) => p.takePath(),
}
const EFFECTS: Readonly<Record<string, Effect>> = {
  '{back}': (p) => p.rewind(false),
  '{restart}': (p) => p.rewind(true),
  '{rewind}': (p) => p.rewindForHost(),
  '{script}': (p) => p.noteScript(),
}

const RULE = /('.'|\{\w+\}|[$_a-z])([>?+^=~&])([a-z_]\w*)?(?::(\w+))?(\{\w+\})?$/

function readStates(): ReadonlyMap<string, State> {
  const lines = STATES.trim()
    .split('\n')
    .map((line) => line.split(/ +/))
  const states = new Map(lines.map(([name]) => [name!, { name: name!, rules: [] as Rule[] }]))
  for (const [name, ...rules] of lines) {
    for (const text of rules) {
      const found = RULE.exec(text)
      invariant(found !== null, `a rule of the text search parser cannot be read: ${text}`)
      const [, test, sign, target, after, effect] = found
      const action = sign as Action
      const to = states.get(action === '=' ? (after ?? 'base') : (target ?? name!))
      invariant(to !== undefined, `the text search parser has no state for ${text}`)
      states.get(name!)!.rules.push({
        test: test!.length === 3 && test![0] === "'" ? (_, c) => c === test![1] : TESTS[test!]!,
        action,
        to: action === '^' || action === '&' ? undefined : to,
        token: action === '=' ? TOKEN[target as keyof typeof TOKEN] : undefined,
        effect: effect === undefined ? undefined : EFFECTS[effect],
      })
    }
  }
  return states
}

let known: ReadonlyMap<string, State> | undefined
function state(name: string): State {
  known ??= readStates()
  return known.get(name)!
}

export class TokenParser {
  readonly #text: string
  #reading: Reading
  #start = 0
  #hostOnly = false
  ignoring = false
  /** Of the token found last. */
  type: TokenType = TOKEN.blank
  length = 0

  constructor(text: string, at = 0, from = 'base') {
    this.#text = text
    this.#reading = { at, length: 0, state: state('base'), back: undefined, tried: -1 }
    if (from !== 'base') this.#reading = { ...this.#reading, state: state(from), back: this.#reading }
  }

  stopAtHost(): boolean {
    const wanted = this.#hostOnly
    this.#hostOnly = false
    return wanted
  }
  #take(inner: TokenParser, type: TokenType): boolean {
    if (!inner.#find() || inner.type !== type) return false
    this.#reading.at += inner.length
    this.#reading.length += inner.length
    return true
  }
  takeHost(): boolean {
    const inner = new TokenParser(this.#text, this.#reading.at)
    inner.#hostOnly = true
    return this.#take(inner, TOKEN.host)
  }
  takePath(): boolean {
    return this.#take(new TokenParser(this.#text, this.#reading.at, 'urlpath1'), TOKEN.url_path)
  }
  /** The token's parts are tokens too. */
  rewind(forget: boolean): void {
    this.#reading.at -= this.#reading.length
    if (forget) this.#reading.length = 0
  }
  rewindForHost(): void {
    this.#hostOnly = true
    this.rewind(false)
  }
  noteScript(): void {
    const name = this.#text.slice(this.#start, this.#start + this.#reading.length).toLowerCase()
    if (name === '</script' || name === '</style') this.ignoring = false
    else if (name === '<script' || name === '<style') this.ignoring = true
  }

  #character(): string {
    const c = this.#text.codePointAt(this.#reading.at)
    return c === undefined ? '' : String.fromCodePoint(c)
  }

  /** Finds the next token: `type`, `length`, from `#start`. */
  #find(): boolean {
    const end = this.#text.length
    if (this.#reading.at >= end) return false
    this.#start = this.#reading.at
    this.#reading.tried = -1
    while (this.#reading.at <= end) {
      let reading = this.#reading
      const c = this.#character()
      const { rules } = reading.state
      let at = reading.tried + 1
      reading.tried = -1
      while (!rules[at]!.test(this, c)) at++
      const rule = rules[at]!
      rule.effect?.(this)
      switch (rule.action) {
        case '=':
          this.length = reading.length
          this.type = rule.token!
          reading.length = 0
          reading.back = undefined
          reading.state = rule.to!
          return true
        case '^':
          invariant(reading.back !== undefined, 'a reading of the text search parser failed that nobody tried')
          this.#reading = reading.back
          if (this.#reading.at >= end) return false
          continue
        case '?':
          reading.tried = at
          this.#reading = reading = { ...reading, back: reading, tried: -1 }
          break
        case '+':
          reading.back = reading.back?.back
          break
        case '&': {
          const tried = reading.back
          invariant(tried !== undefined, 'an escape without its beginning')
          tried.at = reading.at
          tried.length = reading.length
          this.#reading = reading = tried
          break
        }
        case '>':
        case '~':
          break
      }
      if (rule.to !== undefined) reading.state = rule.to
      if (rule.action === '~') continue
      if (reading.at >= end) return false
      reading.at += c.length
      reading.length += c.length
    }
    return false
  }

  /** The next token; undefined at the end. */
  next(): Token | undefined {
    if (!this.#find()) return undefined
    return { type: this.type, text: this.#text.slice(this.#start, this.#start + this.length) }
  }
}
