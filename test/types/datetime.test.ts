/** Dates, times and intervals against the answers PostgreSQL 15 gave, script by script. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Settings } from '../../sql/types/settings.ts'
import { answer, applySetting, DEFAULT_SETTINGS, parseCases } from './datetime-cases.ts'

const folder = new URL('./', import.meta.url)

describe.each(readdirSync(folder).filter((name) => /^datetime-.*\.txt$/.test(name)))('%s', (name) => {
  test('answers as PostgreSQL', () => {
    let settings: Settings = DEFAULT_SETTINGS
    const ours: string[] = []
    const theirs: string[] = []
    for (const item of parseCases(readFileSync(new URL(name, folder), 'utf8'))) {
      if (item.kind === 'set') settings = applySetting(settings, item.name, item.value)
      if (item.kind !== 'value' && item.kind !== 'call') continue
      ours.push(item.source, ...answer(item, settings).map((line) => `  ${line}`))
      theirs.push(item.source, ...item.expected.map((line) => `  ${line}`))
    }
    expect(ours).toEqual(theirs)
  })
})
