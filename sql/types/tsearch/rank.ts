/**
 * ts_rank and ts_rank_cd: how well a document fits a query. Computed in the same precision and order as PostgreSQL does
 * (float4 where it has float4), so that results are equal to the bit.
 * https://www.postgresql.org/docs/15/textsearch-controls.html#TEXTSEARCH-RANKING
 */
import { sqlError } from '../error.ts'
import { type FunctionBody, type FunctionTable, scalar } from '../function.ts'
import { compareText } from '../text/chars.ts'
import type { ArrayValue, TsQuery, TsVector } from '../value.ts'
import { engineeredSort } from './engineered-sort.ts'
import { POSITION_MAX, positionOf, weightOf } from './lexeme-reader.ts'
import { execute, type Lookup, lowerBound } from './match.ts'
import { type LexemeNode, lexemesOf } from './query-tree.ts'

const float4 = Math.fround
/** Of D, C, B, A. */
const DEFAULT_WEIGHTS: readonly number[] = [0.1, 0.2, 0.4, 1].map(float4)

/** How the length of a document counts: the bits of ts_rank's last argument. */
const BY_LOG_LENGTH = 1
const BY_LENGTH = 2
const BY_EXTENT_DISTANCE = 4
const BY_UNIQUE = 8
const BY_LOG_UNIQUE = 16
const BY_ITSELF_PLUS_ONE = 32

function weightsOf(array: ArrayValue): readonly number[] {
  if (array.dimensions.length !== 1) throw sqlError('2202E', 'array of weight must be one-dimensional')
  if (array.elements.length < 4) throw sqlError('2202E', 'array of weight is too short')
  if (array.elements.includes(null)) throw sqlError('22004', 'array of weight must not contain nulls')
  return DEFAULT_WEIGHTS.map((usual, i) => {
    const given = array.elements[i] as number
    const weight = given >= 0 ? given : usual
    if (weight > 1) throw sqlError('22023', 'weight out of range')
    return weight
  })
}

/** The lexemes of the vector that an operand names: [first, end). */
function entriesOf(v: TsVector, lexeme: LexemeNode): readonly [first: number, end: number] {
  const first = lowerBound(v.lexemes, lexeme.text)
  let end = first
  if (lexeme.prefix) while (end < v.lexemes.length && v.lexemes[end]!.startsWith(lexeme.text)) end++
  else if (v.lexemes[first] === lexeme.text) end++
  return [first, end]
}

/** Positions in the document, counting a lexeme without any as one. */
function lengthOf(v: TsVector): number {
  let length = 0
  for (const codes of v.positions) length += Math.max(codes.length, 1)
  return length
}

/** The query's different operands in order. */
function operandsOf(q: TsQuery): LexemeNode[] {
  const sorted = engineeredSort(lexemesOf(q), (a, b) => compareText(a.text, b.text))
  return sorted.filter((lexeme, i) => i === 0 || lexeme.text !== sorted[i - 1]!.text)
}

/** Stands for a lexeme's positions when it has none. */
const NO_POSITIONS: readonly number[] = [POSITION_MAX]
const positionsOr = (codes: readonly number[] | undefined): readonly number[] =>
  codes === undefined || codes.length === 0 ? NO_POSITIONS : codes

const FAR = float4(1e-30)
const nearness = (distance: number): number =>
  distance > 100 ? FAR : float4(1 / (1.005 + 0.05 * Math.exp(distance / 1.5 - 2)))

/** Operands near each other count more. -1: no two of them are there. */
function rankAnd(w: readonly number[], v: TsVector, q: TsQuery): number {
  const operands = operandsOf(q)
  if (operands.length < 2) return rankOr(w, v, q)
  const seen: (readonly number[] | undefined)[] = new Array(operands.length).fill(undefined)
  let rank = -1
  operands.forEach((operand, i) => {
    const [first, end] = entriesOf(v, operand)
    for (let entry = first; entry < end; entry++) {
      const here = positionsOr(v.positions[entry])
      seen[i] = here
      for (let k = 0; k < i; k++) {
        const there = seen[k]
        if (there === undefined) continue
        for (const a of here) {
          for (const b of there) {
            let distance = Math.abs(positionOf(a) - positionOf(b))
            if (distance === 0 && here !== NO_POSITIONS && there !== NO_POSITIONS) continue
            if (distance === 0) distance = POSITION_MAX + 1
            const product = float4(float4(w[weightOf(a)]! * w[weightOf(b)]!) * nearness(distance))
            const pair = float4(Math.sqrt(product))
            rank = rank < 0 ? pair : float4(1 - (1 - rank) * (1 - pair))
          }
        }
      }
    }
  })
  return rank
}

const SUM_OF_INVERSE_SQUARES = 1.64493406685

function rankOr(w: readonly number[], v: TsVector, q: TsQuery): number {
  const operands = operandsOf(q)
  let rank = 0
  for (const operand of operands) {
    const [first, end] = entriesOf(v, operand)
    for (let entry = first; entry < end; entry++) {
      const codes = positionsOr(v.positions[entry])
      let sum = 0
      let best = -1
      let bestAt = 0
      codes.forEach((code, j) => {
        const weight = w[weightOf(code)]!
        sum = float4(sum + float4(weight / ((j + 1) * (j + 1))))
        if (weight > best) {
          best = weight
          bestAt = j
        }
      })
      const one = float4(float4(best + sum) - float4(best / ((bestAt + 1) * (bestAt + 1))))
      rank = float4(rank + one / SUM_OF_INVERSE_SQUARES)
    }
  }
  return operands.length > 0 ? float4(rank / operands.length) : rank
}

function rank(w: readonly number[], v: TsVector, q: TsQuery, method: number): number {
  if (q.root === undefined || v.lexemes.length === 0) return 0
  const all = q.root.kind === 'and' || q.root.kind === 'phrase'
  let result = all ? rankAnd(w, v, q) : rankOr(w, v, q)
  if (result < 0) result = float4(1e-20)
  const unique = v.lexemes.length
  if (method & BY_LOG_LENGTH) result = float4(result / (Math.log(lengthOf(v) + 1) / Math.log(2)))
  if (method & BY_LENGTH) result = float4(result / lengthOf(v))
  if (method & BY_UNIQUE) result = float4(result / unique)
  if (method & BY_LOG_UNIQUE) result = float4(result / (Math.log(unique + 1) / Math.log(2)))
  if (method & BY_ITSELF_PLUS_ONE) result = float4(result / float4(result + 1))
  return result
}

/** One place of the document where operands of the query stand. */
interface Place {
  readonly code: number
  readonly operands: readonly LexemeNode[]
}

function placesOf(v: TsVector, q: TsQuery): Place[] {
  const all: { code: number; entry: number; operand: LexemeNode }[] = []
  for (const operand of lexemesOf(q)) {
    const [first, end] = entriesOf(v, operand)
    for (let entry = first; entry < end; entry++)
      for (const code of v.positions[entry]!)
        if (operand.weights === 0 || operand.weights & (1 << weightOf(code))) all.push({ code, entry, operand })
  }
  all.sort((a, b) => positionOf(a.code) - positionOf(b.code) || a.code - b.code || a.entry - b.entry)
  const places: { code: number; operands: LexemeNode[] }[] = []
  all.forEach(({ code, entry, operand }, i) => {
    const before = all[i - 1]
    if (before !== undefined && before.code === code && before.entry === entry) places.at(-1)!.operands.push(operand)
    else places.push({ code, operands: [operand] })
  })
  return places
}

/** What has been seen while a window over the places grows to the right, or to the left. */
class Seen {
  readonly #positions = new Map<LexemeNode, number[]>()
  readonly #backwards: boolean
  constructor(backwards: boolean) {
    this.#backwards = backwards
  }
  add(place: Place): void {
    const position = positionOf(place.code)
    for (const operand of place.operands) {
      const known = this.#positions.get(operand)
      if (known === undefined) this.#positions.set(operand, [position])
      else if (known.at(-1) !== position) known.push(position)
    }
  }
  readonly lookup: Lookup = (lexeme, places) => {
    const known = this.#positions.get(lexeme)
    if (known === undefined) return 'no'
    if (places !== undefined) places.positions = this.#backwards ? [...known].reverse() : known
    return 'yes'
  }
}

interface Cover {
  readonly begin: number
  readonly end: number
  readonly next: number
}

/** The next shortest window, from place `from` on, in which the query is satisfied. */
function coverFrom(places: readonly Place[], q: TsQuery, from: number): Cover | undefined {
  const root = q.root!
  for (let start = from; ; start++) {
    const seen = new Seen(false)
    let end = start
    for (; end < places.length; end++) {
      seen.add(places[end]!)
      if (execute(root, seen.lookup) !== 'no') break
    }
    if (end >= places.length) return undefined
    const back = new Seen(true)
    for (let begin = end; begin >= start; begin--) {
      back.add(places[begin]!)
      if (execute(root, back.lookup) !== 'no') return { begin, end, next: begin + 1 }
    }
  }
}

function rankByCovers(w: readonly number[], v: TsVector, q: TsQuery, method: number): number {
  if (q.root === undefined) return 0
  const inverse = w.map((weight) => 1 / weight)
  const places = placesOf(v, q)
  if (places.length === 0) return 0
  let sum = 0
  let extents = 0
  let distances = 0
  let before = 0
  for (let at = coverFrom(places, q, 0); at !== undefined; at = coverFrom(places, q, at.next)) {
    let inverseSum = 0
    for (let i = at.begin; i <= at.end; i++) inverseSum += inverse[weightOf(places[i]!.code)]!
    const first = positionOf(places[at.begin]!.code)
    const last = positionOf(places[at.end]!.code)
    const worth = (at.end - at.begin + 1) / inverseSum
    let noise = last - first - (at.end - at.begin)
    // Where positions have run into their limit there is no telling: half of the cover.
    if (noise < 0) noise = Math.trunc((at.end - at.begin) / 2)
    sum += worth / (1 + noise)
    const middle = (last + first) / 2
    if (extents > 0 && middle > before) distances += 1 / (middle - before)
    before = middle
    extents++
  }
  const unique = v.lexemes.length
  if (method & BY_LOG_LENGTH && unique > 0) sum /= Math.log(lengthOf(v) + 1)
  if (method & BY_LENGTH && lengthOf(v) > 0) sum /= lengthOf(v)
  if (method & BY_EXTENT_DISTANCE && extents > 0 && distances > 0) sum /= extents / distances
  if (method & BY_UNIQUE && unique > 0) sum /= unique
  if (method & BY_LOG_UNIQUE && unique > 0) sum /= Math.log(unique + 1) / Math.log(2)
  if (method & BY_ITSELF_PLUS_ONE) sum /= sum + 1
  return float4(sum)
}

type Ranking = (w: readonly number[], v: TsVector, q: TsQuery, method: number) => number

/** The four forms of each: weights and normalization may be left out. */
const forms = (name: string, by: Ranking): Record<string, FunctionBody> => ({
  [`${name}_wttf`]: scalar((w: ArrayValue, v: TsVector, q: TsQuery, method: number) => by(weightsOf(w), v, q, method)),
  [`${name}_wtt`]: scalar((w: ArrayValue, v: TsVector, q: TsQuery) => by(weightsOf(w), v, q, 0)),
  [`${name}_ttf`]: scalar((v: TsVector, q: TsQuery, method: number) => by(DEFAULT_WEIGHTS, v, q, method)),
  [`${name}_tt`]: scalar((v: TsVector, q: TsQuery) => by(DEFAULT_WEIGHTS, v, q, 0)),
})

export const RANK_FUNCTIONS: FunctionTable = { ...forms('ts_rank', rank), ...forms('ts_rankcd', rankByCovers) }
