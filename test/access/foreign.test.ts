/** Foreign keys and late unique constraints do what PostgreSQL did. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { failure, openDatabase } from './fixture.ts'
import { STORIES, type Story } from './foreign-cases.ts'

const recorded = new Map(
  readFileSync(new URL('./foreign.recorded.txt', import.meta.url), 'utf8')
    .split(/^# /m)
    .slice(1)
    .map((part) => {
      const end = part.indexOf('\n')
      return [part.slice(0, end), part.slice(end + 1).trimEnd()] as const
    }),
)

async function told(story: Story): Promise<string> {
  const lines: string[] = []
  const database = await openDatabase()
  for (const [name, definition] of story.tables) database.table(name, definition)
  const session = database.session()
  const reader = database.session()
  let open = false
  let aborted = false
  for (const text of story.statements) {
    lines.push(`> ${text}`)
    if (text === 'begin') {
      session.begin()
      open = true
      continue
    }
    if (text === 'commit' && aborted) session.rollback()
    const failed = await failure(text === 'commit' ? session.commit() : session.run(text))
    if (failed !== 'no error') {
      lines.push(failed)
      aborted = open && text !== 'commit'
      session.rollback()
    } else if (text !== 'commit') lines.push(String(session.affected))
    if (text === 'commit') open = aborted = false
    if (open) continue
    for (const [name, definition] of story.tables) {
      const list = definition.columns.map(([column]) => `${column}::text`).join(', ')
      const rows = (await reader.run(`select ${list} from ${name}`)).map((row) =>
        row.map((value) => value ?? 'null').join(', '),
      )
      lines.push(`${name}: ${rows.sort().join('; ')}`)
    }
  }
  await database.close()
  return lines.join('\n').trimEnd()
}

it.each(STORIES.map((story) => [story.name, story] as const))('%s', async (name, story) => {
  expect(await told(story)).toBe(recorded.get(name))
})
