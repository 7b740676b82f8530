/**
 * The picture of a number in to_char and to_number ('FM999,990.00'): its patterns in order and what they say together.
 * Source: PostgreSQL manual, "Template Patterns for Numeric Formatting".
 */
import { sqlError } from '../error.ts'

export type Pattern =
  | 'comma'
  | 'point'
  | '0'
  | '9'
  | 'B'
  | 'C'
  | 'D'
  | 'EEEE'
  | 'FM'
  | 'G'
  | 'L'
  | 'MI'
  | 'PL'
  | 'PR'
  | 'RN'
  | 'rn'
  | 'SG'
  | 'SP'
  | 'S'
  | 'TH'
  | 'th'
  | 'V'

/** A pattern, or a character that is copied. */
export type Node = { readonly pattern: Pattern } | { readonly character: string }

export interface Picture {
  readonly nodes: readonly Node[]
  /** Digits before and after the point, and behind V. */
  pre: number
  post: number
  multi: number
  zero: boolean
  zeroStart: number
  zeroEnd: number
  decimal: boolean
  fill: boolean
  /** S: a sign anchored before or behind the number; `signAt` is how many digits come before it. */
  anchored: boolean
  sign: 'none' | 'pre' | 'post'
  signAt: number
  minus: boolean
  plus: boolean
  bracket: boolean
  roman: boolean
  scientific: boolean
  isMulti: boolean
  blank: boolean
}

/** Longer words first where one begins another. Case matters: only all upper or all lower is a pattern. */
const WORDS: readonly (readonly [word: string, pattern: Pattern])[] = [
  [',', 'comma'],
  ['.', 'point'],
  ['0', '0'],
  ['9', '9'],
  ['EEEE', 'EEEE'],
  ['FM', 'FM'],
  ['MI', 'MI'],
  ['PL', 'PL'],
  ['PR', 'PR'],
  ['RN', 'RN'],
  ['SG', 'SG'],
  ['SP', 'SP'],
  ['TH', 'TH'],
  ['B', 'B'],
  ['C', 'C'],
  ['D', 'D'],
  ['G', 'G'],
  ['L', 'L'],
  ['S', 'S'],
  ['V', 'V'],
  ['eeee', 'EEEE'],
  ['fm', 'FM'],
  ['mi', 'MI'],
  ['pl', 'PL'],
  ['pr', 'PR'],
  ['rn', 'rn'],
  ['sg', 'SG'],
  ['sp', 'SP'],
  ['th', 'th'],
  ['b', 'B'],
  ['c', 'C'],
  ['d', 'D'],
  ['g', 'G'],
  ['l', 'L'],
  ['s', 'S'],
  ['v', 'V'],
]

const wrong = (message: string, detail?: string) => sqlError('42601', message, detail === undefined ? {} : { detail })

function nodesOf(text: string): Node[] {
  const nodes: Node[] = []
  const characters = [...text]
  for (let i = 0; i < characters.length; ) {
    const rest = characters.slice(i, i + 4).join('')
    const word = WORDS.find(([w]) => rest.startsWith(w))
    if (word !== undefined) {
      nodes.push({ pattern: word[1] })
      i += word[0].length
    } else if (characters[i] === '"') {
      for (i++; i < characters.length; i++) {
        if (characters[i] === '"') {
          i++
          break
        }
        if (characters[i] === '\\' && i + 1 < characters.length) i++
        nodes.push({ character: characters[i]! })
      }
    } else {
      if (characters[i] === '\\' && characters[i + 1] === '"') i++
      nodes.push({ character: characters[i++]! })
    }
  }
  return nodes
}

export function parsePicture(text: string): Picture {
  const picture: Picture = {
    nodes: nodesOf(text),
    pre: 0,
    post: 0,
    multi: 0,
    zero: false,
    zeroStart: 0,
    zeroEnd: 0,
    decimal: false,
    fill: false,
    anchored: false,
    sign: 'none',
    signAt: 0,
    minus: false,
    plus: false,
    bracket: false,
    roman: false,
    scientific: false,
    isMulti: false,
    blank: false,
  }
  for (const node of picture.nodes) if ('pattern' in node) note(picture, node.pattern)
  return picture
}

/** Takes one pattern into account, with the errors of patterns that exclude each other (42601). */
function note(p: Picture, pattern: Pattern): void {
  if (p.scientific && pattern !== 'EEEE') throw wrong('"EEEE" must be the last pattern used')
  switch (pattern) {
    case '9':
      if (p.bracket) throw wrong('"9" must be ahead of "PR"')
      if (p.isMulti) p.multi++
      else if (p.decimal) p.post++
      else p.pre++
      return
    case '0':
      if (p.bracket) throw wrong('"0" must be ahead of "PR"')
      if (!p.zero && !p.decimal) {
        p.zero = true
        p.zeroStart = p.pre + 1
      }
      if (p.decimal) p.post++
      else p.pre++
      p.zeroEnd = p.pre + p.post
      return
    case 'B':
      if (p.pre === 0 && p.post === 0 && !p.zero) p.blank = true
      return
    case 'D':
    case 'point':
      if (p.decimal) throw wrong('multiple decimal points')
      if (p.isMulti) throw wrong('cannot use "V" and decimal point together')
      p.decimal = true
      return
    case 'FM':
      p.fill = true
      return
    case 'S':
      if (p.anchored) throw wrong('cannot use "S" twice')
      if (p.plus || p.minus || p.bracket) throw wrong('cannot use "S" and "PL"/"MI"/"SG"/"PR" together')
      p.anchored = true
      p.sign = p.decimal ? 'post' : 'pre'
      if (!p.decimal) p.signAt = p.pre
      return
    case 'MI':
    case 'PL':
    case 'SG':
      if (p.anchored) throw wrong(`cannot use "S" and "${pattern}" together`)
      if (pattern !== 'PL') p.minus = true
      if (pattern !== 'MI') p.plus = true
      return
    case 'PR':
      if (p.anchored || p.plus || p.minus) throw wrong('cannot use "PR" and "S"/"PL"/"MI"/"SG" together')
      p.bracket = true
      return
    case 'RN':
    case 'rn':
      p.roman = true
      return
    case 'V':
      if (p.decimal) throw wrong('cannot use "V" and decimal point together')
      p.isMulti = true
      return
    case 'EEEE':
      if (p.scientific) throw wrong('cannot use "EEEE" twice')
      if (p.blank || p.fill || p.anchored || p.bracket || p.minus || p.plus || p.roman || p.isMulti) {
        throw wrong(
          '"EEEE" is incompatible with other formats',
          '"EEEE" may only be used together with digit and decimal point patterns.',
        )
      }
      p.scientific = true
      return
    case 'comma':
    case 'C':
    case 'G':
    case 'L':
    case 'SP':
    case 'TH':
    case 'th':
      return
  }
}
