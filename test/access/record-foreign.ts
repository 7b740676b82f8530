/** Asks PostgreSQL what foreign-cases.ts leads to: `PGHOST=… tsx test/access/record-foreign.ts`. */
import { writeFileSync } from 'node:fs'
import pg from 'pg'
import { ddlOf, STORIES } from './foreign-cases.ts'

const lines: string[] = []
for (const story of STORIES) {
  const client = new pg.Client({ user: 'postgres', database: 'postgres' })
  await client.connect()
  lines.push(`# ${story.name}`)
  // A temporary schema keeps the names short in messages.
  for (const [name, definition] of story.tables) for (const text of ddlOf(name, definition)) await client.query(text)
  const names = story.tables.map(([name]) => name)
  for (const text of story.statements) {
    lines.push(`> ${text}`)
    try {
      const { rowCount } = await client.query(text)
      if (rowCount !== null) lines.push(String(rowCount))
    } catch (error) {
      const { code, message, detail } = error as { code: string; message: string; detail?: string }
      lines.push([code, message, detail].filter((part) => part !== undefined).join(' | '))
    }
    if (
      text === 'begin' ||
      (await client.query('select pg_current_xact_id_if_assigned() is not null as open').then(
        ({ rows }) => rows[0].open,
        () => true,
      ))
    )
      continue
    for (const name of names) {
      const { rows } = await client.query({ text: `select * from ${name}`, rowMode: 'array' })
      const texts = rows
        .map((row: unknown[]) => row.map((value) => (value === null ? 'null' : String(value))).join(', '))
        .sort()
      lines.push(`${name}: ${texts.join('; ')}`)
    }
  }
  await client.end()
}
writeFileSync(new URL('./foreign.recorded.txt', import.meta.url), `${lines.join('\n')}\n`)
