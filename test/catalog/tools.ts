/** What psql, pg_dump, drivers and ORMs ask of the catalogs: one statement a paragraph of tools-questions.sql. */
import { readFileSync } from 'node:fs'

export const toolQuestions = (): string[] =>
  readFileSync(new URL('./tools-questions.sql', import.meta.url), 'utf8')
    .split(/\n{2,}/)
    .map((text) => text.replace(/^--.*\n?/gm, '').trim())
    .filter((text) => text !== '')
