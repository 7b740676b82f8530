import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { answer, parseCases, registerAll } from './cases.ts'

registerAll()

describe('jsonpath: what PostgreSQL 15 answers', () => {
  for (const part of parseCases(readFileSync(new URL('jsonpath.cases.txt', import.meta.url), 'utf8')))
    if (typeof part !== 'string') it(part.line, () => expect(answer(part)).toEqual(part.expected))
})
