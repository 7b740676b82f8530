import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { answer, parseCases, registerAll } from './cases.ts'

registerAll()

describe.each(['vector', 'halfvec', 'sparsevec', 'bit-distance'])('%s: what pgvector answers', (name) => {
  for (const part of parseCases(readFileSync(new URL(`${name}.cases.txt`, import.meta.url), 'utf8')))
    if (typeof part !== 'string') it(part.line, () => expect(answer(part)).toEqual(part.expected))
})
