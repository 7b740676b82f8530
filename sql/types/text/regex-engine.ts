/**
 * Matching as PostgreSQL's own engine does it, for what RE2 cannot say: back-references, lookahead, and groups where
 * greedy and reluctant quantifiers mix.
 *
 *     ends(node, at)            where a match of the node that begins at `at` may end (a back-reference: as its group)
 *     dissect(node, from, to)   whether it matches just that stretch, and where its groups lie
 *
 * The leftmost beginning wins, then the longest or shortest end by the expression's preference; inside, each node in
 * turn takes the longest or shortest part that lets the rest match, with no second thoughts about how a part was divided.
 * Work is counted and bounded: unlike RE2's, it may grow with a power of the text's length.
 * Source: PostgreSQL manual, "Regular Expression Matching Rules".
 */
import { checkDeadline } from '../deadline.ts'
import { sqlError } from '../error.ts'

export type RegexNode =
  | { readonly kind: 'character'; test(point: number): boolean }
  | { readonly kind: 'assertion'; holds(s: string, at: number): boolean }
  | { readonly kind: 'concat'; readonly parts: readonly RegexNode[]; readonly shortest: readonly boolean[] }
  | { readonly kind: 'alternation'; readonly branches: readonly RegexNode[] }
  | {
      readonly kind: 'repeat'
      readonly inner: RegexNode
      readonly min: number
      readonly max: number
      readonly shortest: boolean
    }
  | { readonly kind: 'group'; readonly index: number; readonly inner: RegexNode }
  | { readonly kind: 'look'; readonly inner: RegexNode; readonly behind: boolean; readonly negative: boolean }
  | { readonly kind: 'reference'; readonly index: number; readonly group: RegexNode; readonly ignoreCase: boolean }

const STEPS_MAX = 5_000_000 // about a second's work for one search

const tooComplex = () => sqlError('2201B', 'invalid regular expression: regular expression is too complex')

/** One search in one text. Spans are [from, to) in UTF-16 units, -1 for a group that took no part. */
export class Search {
  readonly #s: string
  readonly #ends = new Map<RegexNode, (readonly number[] | undefined)[]>()
  readonly #spans: number[]
  #steps = 0

  constructor(s: string, groups: number) {
    this.#s = s
    this.#spans = new Array<number>(2 * (groups + 1)).fill(-1)
  }

  /** The leftmost match from a place on; undefined when there is none. */
  find(root: RegexNode, from: number, shortest: boolean): readonly number[] | undefined {
    for (let at = from; at <= this.#s.length; at += this.#width(at) || 1) {
      const ends = this.#endsOf(root, at)
      for (let i = 0; i < ends.length; i++) {
        const end = ends[shortest ? i : ends.length - 1 - i]!
        const found = this.divide(root, at, end)
        if (found !== undefined) return found
      }
    }
    return undefined
  }

  /** The groups of a match whose stretch is known. */
  divide(root: RegexNode, from: number, to: number): readonly number[] | undefined {
    this.#spans.fill(-1)
    if (!this.#dissect(root, from, to)) return undefined
    this.#spans[0] = from
    this.#spans[1] = to
    return [...this.#spans]
  }

  #step(): void {
    if (++this.#steps > STEPS_MAX) throw tooComplex()
    if ((this.#steps & 4095) === 0) checkDeadline()
  }

  #width(at: number): number {
    if (at >= this.#s.length) return 0
    return (this.#s.codePointAt(at) ?? 0) > 0xffff ? 2 : 1
  }

  #endsOf(node: RegexNode, at: number): readonly number[] {
    let known = this.#ends.get(node)
    if (known === undefined) this.#ends.set(node, (known = []))
    let ends = known[at]
    if (ends === undefined) known[at] = ends = this.#computeEnds(node, at)
    return ends
  }

  #computeEnds(node: RegexNode, at: number): readonly number[] {
    this.#step()
    switch (node.kind) {
      case 'character': {
        const width = this.#width(at)
        return width > 0 && node.test(this.#s.codePointAt(at)!) ? [at + width] : []
      }
      case 'assertion':
        return node.holds(this.#s, at) ? [at] : []
      case 'concat': {
        let places: readonly number[] = [at]
        for (const part of node.parts) places = this.#endsFrom(part, places)
        return places
      }
      case 'alternation':
        return sorted(new Set(node.branches.flatMap((branch) => this.#endsOf(branch, at))))
      case 'repeat':
        return this.#repeatEnds(node, at)
      case 'group':
        return this.#endsOf(node.inner, at)
      case 'look':
        return this.#sees(node, at) === node.negative ? [] : [at]
      case 'reference':
        return this.#endsOf(node.group, at)
    }
  }

  #endsFrom(node: RegexNode, places: readonly number[]): readonly number[] {
    if (places.length === 1) return this.#endsOf(node, places[0]!)
    const all = new Set<number>()
    for (const place of places)
      for (const end of this.#endsOf(node, place)) {
        this.#step()
        all.add(end)
      }
    return sorted(all)
  }

  #repeatEnds(node: RegexNode & { kind: 'repeat' }, at: number): readonly number[] {
    const all = new Set<number>()
    if (node.min === 0) all.add(at)
    let places: readonly number[] = [at]
    for (let count = 1; count <= node.max && places.length > 0; count++) {
      this.#step()
      let next = this.#endsFrom(node.inner, places)
      if (count >= node.min) {
        // Past the least count only new places can lead to new ends.
        next = next.filter((place) => !all.has(place))
        for (const place of next) all.add(place)
      }
      places = next
    }
    return sorted(all)
  }

  #sees(node: RegexNode & { kind: 'look' }, at: number): boolean {
    if (!node.behind) return this.#endsOf(node.inner, at).length > 0
    for (let from = at; from >= 0; from--) if (this.#endsOf(node.inner, from).includes(at)) return true
    return false
  }

  #reaches(node: RegexNode, from: number, to: number): boolean {
    const ends = this.#endsOf(node, from)
    let low = 0
    let high = ends.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (ends[middle]! < to) low = middle + 1
      else high = middle
    }
    return ends[low] === to
  }

  #dissect(node: RegexNode, from: number, to: number): boolean {
    this.#step()
    switch (node.kind) {
      case 'character':
      case 'assertion':
      case 'look':
        return this.#reaches(node, from, to)
      case 'concat':
        return this.#dissectParts(node, 0, from, to)
      case 'alternation':
        return node.branches.some((branch) => {
          if (!this.#reaches(branch, from, to)) return false
          this.#forget(node)
          return this.#dissect(branch, from, to)
        })
      case 'repeat':
        if (!this.#reaches(node, from, to)) return false
        this.#forget(node.inner)
        if (node.max === 0) return from === to
        // A group that took no part is matched by no number of copies, not even none.
        if (node.inner.kind === 'reference' && this.#spans[2 * node.inner.index]! < 0) return false
        if (node.min === 0 && from === to) {
          // No turn at all, or one that takes nothing and so sets its groups.
          if (!this.#reaches(node.inner, from, to) || !this.#dissect(node.inner, from, to)) this.#forget(node.inner)
          return true
        }
        return this.#dissectTimes(node, [from], to)
      case 'group':
        if (!this.#dissect(node.inner, from, to)) return false
        this.#spans[2 * node.index] = from
        this.#spans[2 * node.index + 1] = to
        return true
      case 'reference': {
        const [begin, end] = [this.#spans[2 * node.index]!, this.#spans[2 * node.index + 1]!]
        if (begin < 0 || end - begin !== to - from) return false
        const [own, other] = [this.#s.slice(begin, end), this.#s.slice(from, to)]
        return own === other || (node.ignoreCase && own.toLowerCase() === other.toLowerCase())
      }
    }
  }

  /** The part takes as much (or as little) as leaves the rest a match. */
  #dissectParts(node: RegexNode & { kind: 'concat' }, index: number, from: number, to: number): boolean {
    const part = node.parts[index]
    if (part === undefined) return from === to
    if (index === node.parts.length - 1) return this.#reaches(part, from, to) && this.#dissect(part, from, to)
    const ends = this.#endsOf(part, from)
    for (let i = 0; i < ends.length; i++) {
      const middle = ends[node.shortest[index] ? i : ends.length - 1 - i]!
      if (middle > to || !this.#restReaches(node, index + 1, middle, to)) continue
      for (let p = index; p < node.parts.length; p++) this.#forget(node.parts[p]!)
      if (this.#dissect(part, from, middle) && this.#dissectParts(node, index + 1, middle, to)) return true
    }
    return false
  }

  #restReaches(node: RegexNode & { kind: 'concat' }, index: number, from: number, to: number): boolean {
    let places: readonly number[] = [from]
    for (let p = index; p < node.parts.length; p++) places = this.#endsFrom(node.parts[p]!, places)
    return places.includes(to)
  }

  /** The next turn of a loop whose turns so far end at `borders` (the first is its beginning). All are divided once they fit. */
  #dissectTimes(node: RegexNode & { kind: 'repeat' }, borders: readonly number[], to: number): boolean {
    const from = borders.at(-1)!
    const turns = borders.length // with the one that is sought
    const ends = this.#endsOf(node.inner, from)
    for (let i = 0; i < ends.length; i++) {
      this.#step()
      const end = ends[node.shortest ? i : ends.length - 1 - i]!
      if (end > to) continue
      const reached = [...borders, end]
      if (end === to && turns >= node.min) {
        if (this.#dissectTurns(node.inner, reached)) return true
      } else if (turns < node.max && (end > from || turns < node.min)) {
        // A turn that takes nothing serves only to reach the least count.
        if (this.#dissectTimes(node, reached, to)) return true
      }
    }
    return false
  }

  #dissectTurns(inner: RegexNode, borders: readonly number[]): boolean {
    for (let i = 1; i < borders.length; i++) {
      this.#forget(inner)
      if (!this.#dissect(inner, borders[i - 1]!, borders[i]!)) return false
    }
    return true
  }

  #forget(node: RegexNode): void {
    for (const index of groupsIn(node)) this.#spans[2 * index] = this.#spans[2 * index + 1] = -1
  }
}

const ascending = (a: number, b: number): number => a - b
const sorted = (places: ReadonlySet<number>): readonly number[] => [...places].sort(ascending)

const NONE: readonly number[] = []
const groupsOfNode = new WeakMap<RegexNode, readonly number[]>()

function groupsIn(node: RegexNode): readonly number[] {
  let groups = groupsOfNode.get(node)
  if (groups === undefined) {
    switch (node.kind) {
      case 'concat':
        groups = node.parts.flatMap(groupsIn)
        break
      case 'alternation':
        groups = node.branches.flatMap(groupsIn)
        break
      case 'repeat':
      case 'look':
        groups = groupsIn(node.inner)
        break
      case 'group':
        groups = [node.index, ...groupsIn(node.inner)]
        break
      default:
        groups = NONE
    }
    groupsOfNode.set(node, groups)
  }
  return groups
}
