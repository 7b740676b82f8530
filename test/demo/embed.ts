/**
 * A small deterministic embedder: every run of three, four and five letters of a text is hashed to one of `dimensions`
 * places with a sign, weighted by how rarely it is met, and the whole is scaled to length 1. Texts that share words and
 * parts of words come near each other; it knows nothing of meaning. (Weinberger et al., "Feature Hashing for Large Scale
 * Multitask Learning", 2009; Bojanowski et al. for the n-grams.)
 */
export const DIMENSIONS = 256

const GRAM_MIN = 3
const GRAM_MAX = 5

export class Embedder {
  /** In how many texts of the corpus each gram was met. */
  readonly #met = new Map<number, number>()
  readonly #texts: number

  constructor(corpus: readonly string[]) {
    this.#texts = corpus.length
    for (const text of corpus) {
      for (const gram of new Set(grams(text))) this.#met.set(gram, (this.#met.get(gram) ?? 0) + 1)
    }
  }

  embed(text: string): number[] {
    const vector = new Array<number>(DIMENSIONS).fill(0)
    for (const gram of grams(text)) {
      const weight = Math.log((1 + this.#texts) / (1 + (this.#met.get(gram) ?? 0)))
      const place = gram % DIMENSIONS
      vector[place]! += gram & 0x4000_0000 ? weight : -weight
    }
    const length = Math.hypot(...vector) || 1
    return vector.map((x) => Number((x / length).toFixed(5)))
  }
}

/** FNV-1a hashes of the grams of each word, its borders marked. */
function grams(text: string): number[] {
  const hashes: number[] = []
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []) {
    const marked = `<${word}>`
    for (let length = GRAM_MIN; length <= GRAM_MAX; length++) {
      for (let at = 0; at + length <= marked.length; at++) {
        let hash = 0x811c9dc5
        for (let i = at; i < at + length; i++) hash = Math.imul(hash ^ marked.charCodeAt(i), 0x01000193)
        hashes.push(hash >>> 1)
      }
    }
  }
  return hashes
}
