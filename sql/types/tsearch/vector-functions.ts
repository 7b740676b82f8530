/**
 * What can be done to a tsvector: joining, weighting, stripping, deleting, taking apart.
 * https://www.postgresql.org/docs/15/textsearch-features.html#TEXTSEARCH-MANIPULATE-TSVECTOR
 */
import { oid } from '../../../storage/keys/brand.ts'
import { sqlError } from '../error.ts'
import { bound, type FunctionTable, scalar, set } from '../function.ts'
import { comparedBy, comparisons } from '../misc/comparison.ts'
import { OID } from '../oids.ts'
import { compareText } from '../text/chars.ts'
import { ArrayValue, RecordValue, type TsQuery, TsVector } from '../value.ts'
import { limitedPosition, POSITION_MAX, POSITIONS_MAX, positionOf, weightOf, withWeight } from './lexeme-reader.ts'
import { lowerBound, matches } from './match.ts'
import { checkVectorBytes, compareTsVectors, dataBytes, makeVector, tsVectorType, vectorBytes } from './vector-type.ts'

const NO_POSITIONS: readonly number[] = []
const WEIGHT_NUMBERS: Readonly<Record<string, number>> = { a: 3, A: 3, b: 2, B: 2, c: 1, C: 1, d: 0, D: 0 }
const LETTERS = ['D', 'C', 'B', 'A']

const codeOf = (letter: string): number => {
  const byte = Buffer.from(letter)[0] ?? 0
  return byte > 127 ? byte - 256 : byte
}

function weightNumber(letter: string): number {
  const weight = WEIGHT_NUMBERS[letter]
  if (weight === undefined) throw sqlError('XX000', `unrecognized weight: ${codeOf(letter)}`)
  return weight
}

const withWeights = (v: TsVector, weight: number, wanted: (index: number) => boolean): TsVector =>
  new TsVector(
    v.lexemes,
    v.positions.map((codes, i) => (wanted(i) ? codes.map((code) => withWeight(positionOf(code), weight)) : codes)),
  )

/** Indexes of the array's lexemes that the vector has. NULLs and strangers are passed over. */
function indexesOf(v: TsVector, array: ArrayValue): Set<number> {
  const found = new Set<number>()
  for (const text of array.elements) {
    if (text === null) continue
    const at = lowerBound(v.lexemes, text as string)
    if (v.lexemes[at] === text) found.add(at)
  }
  return found
}

function only(v: TsVector, keep: (index: number) => boolean): TsVector {
  return new TsVector(
    v.lexemes.filter((_, i) => keep(i)),
    v.positions.filter((_, i) => keep(i)),
  )
}

/** The second document behind the first: its positions count on from the first one's last. */
function concat(a: TsVector, b: TsVector): TsVector {
  let last = 0
  for (const codes of a.positions) for (const code of codes) last = Math.max(last, positionOf(code))
  const behind = (codes: readonly number[], before: readonly number[]): readonly number[] => {
    if (codes.length === 0) return before
    const out = [...before]
    for (const code of codes) {
      if (out.length >= POSITIONS_MAX || (out.length > 0 && positionOf(out.at(-1)!) === POSITION_MAX)) break
      out.push(withWeight(limitedPosition(positionOf(code) + last), weightOf(code)))
    }
    return out
  }
  const lexemes: string[] = []
  const positions: (readonly number[])[] = []
  let i = 0
  let j = 0
  while (i < a.lexemes.length || j < b.lexemes.length) {
    const order = i === a.lexemes.length ? 1 : j === b.lexemes.length ? -1 : compareText(a.lexemes[i]!, b.lexemes[j]!)
    lexemes.push(order <= 0 ? a.lexemes[i]! : b.lexemes[j]!)
    const mine = order <= 0 ? a.positions[i++]! : NO_POSITIONS
    positions.push(order >= 0 ? behind(b.positions[j++]!, mine) : mine)
  }
  const vector = new TsVector(lexemes, positions)
  checkVectorBytes(dataBytes(vector))
  return vector
}

function filter(v: TsVector, letters: ArrayValue): TsVector {
  let wanted = 0
  for (const letter of letters.elements) {
    if (letter === null) throw sqlError('22004', 'weight array may not contain nulls')
    const weight = WEIGHT_NUMBERS[letter as string]
    if (weight === undefined) throw sqlError('22023', `unrecognized weight: "${letter}"`)
    wanted |= 1 << weight
  }
  const positions = v.positions.map((codes) => codes.filter((code) => wanted & (1 << weightOf(code))))
  return only(new TsVector(v.lexemes, positions), (i) => positions[i]!.length > 0)
}

const UNNESTED = [OID.text, oid(1005), OID.textArray]

export const VECTOR_FUNCTIONS: FunctionTable = {
  tsvectorin: bound(
    ({ context }) =>
      (text: string) =>
        tsVectorType.input(text, -1, context),
  ),
  tsvectorout: bound(
    ({ context }) =>
      (v: TsVector) =>
        tsVectorType.output(v, context),
  ),
  tsvectorsend: scalar((v: TsVector) => vectorBytes(v)),
  ...comparisons((op) => `tsvector_${op}`, comparedBy(compareTsVectors)),
  tsvector_cmp: scalar((a: TsVector, b: TsVector) => Math.sign(compareTsVectors(a, b))),
  tsvector_length: scalar((v: TsVector) => v.lexemes.length),
  tsvector_strip: scalar(
    (v: TsVector) =>
      new TsVector(
        v.lexemes,
        v.lexemes.map(() => NO_POSITIONS),
      ),
  ),
  tsvector_concat: scalar(concat),
  tsvector_setweight: scalar((v: TsVector, letter: string) => withWeights(v, weightNumber(letter), () => true)),
  tsvector_setweight_by_filter: scalar((v: TsVector, letter: string, lexemes: ArrayValue) => {
    const found = indexesOf(v, lexemes)
    return withWeights(v, weightNumber(letter), (i) => found.has(i))
  }),
  tsvector_delete_str: scalar((v: TsVector, text: string) => {
    const at = lowerBound(v.lexemes, text)
    return v.lexemes[at] === text ? only(v, (i) => i !== at) : v
  }),
  tsvector_delete_arr: scalar((v: TsVector, lexemes: ArrayValue) => {
    const found = indexesOf(v, lexemes)
    return only(v, (i) => !found.has(i))
  }),
  tsvector_filter: scalar(filter),
  tsvector_to_array: scalar((v: TsVector) => ArrayValue.of(v.lexemes)),
  array_to_tsvector: scalar((array: ArrayValue) => {
    const words = array.elements.map((text) => {
      if (text === null) throw sqlError('22004', 'lexeme array may not contain nulls')
      if (text === '') throw sqlError('2200F', 'lexeme array may not contain empty strings')
      return { text: text as string, positions: NO_POSITIONS }
    })
    return makeVector(words)
  }),
  tsvector_unnest: set(
    () => (v: TsVector) =>
      v.lexemes.map((lexeme, i) => {
        const codes = v.positions[i]!
        const none = codes.length === 0
        return new RecordValue(
          [
            lexeme,
            none ? null : ArrayValue.of(codes.map(positionOf)),
            none ? null : ArrayValue.of(codes.map((code) => LETTERS[weightOf(code)]!)),
          ],
          UNNESTED,
        )
      }),
  ),
  ts_match_vq: scalar((v: TsVector, q: TsQuery) => matches(v, q)),
  ts_match_qv: scalar((q: TsQuery, v: TsVector) => matches(v, q)),
}
