/** pg_export_snapshot and SET TRANSACTION SNAPSHOT: two sessions see the same, whatever is committed between. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Session } from '../../sql/session/session.ts'
import { type Open, openMemory, runScript } from '../ddl/run.ts'

let server: Open
let first: Session
let second: Session
beforeAll(async () => {
  server = await openMemory()
  first = await server.connect()
  second = await server.connect()
})
afterAll(async () => {
  await first.close()
  await second.close()
  await server.close()
})

const lines = async (session: Session, script: string): Promise<string[]> =>
  (await runScript(session, `${script};\n`)).trim().split('\n')

test('another transaction sees what the exporting one sees', async () => {
  await runScript(first, 'create table t (a int);\ninsert into t values (1), (2);\n')
  await runScript(first, 'begin isolation level repeatable read;\n')
  const name = (await lines(first, 'select pg_export_snapshot()')).at(-1)!
  expect(name).toMatch(/^[0-9A-F]{8}-[0-9A-F]{8}-1$/)
  await runScript(second, 'insert into t values (3);\n')
  expect((await lines(second, 'select count(*) from t')).at(-1)).toBe('3')
  await runScript(second, `begin isolation level repeatable read;\nset transaction snapshot '${name}';\n`)
  expect((await lines(second, 'select count(*) from t')).at(-1)).toBe('2')
  expect((await lines(first, 'select count(*) from t')).at(-1)).toBe('2')
  await runScript(first, 'commit;\n')
  expect((await lines(second, 'select count(*) from t')).at(-1)).toBe('2')
  await runScript(second, 'commit;\n')
  expect((await lines(second, 'select count(*) from t')).at(-1)).toBe('3')
  await runScript(second, 'begin isolation level repeatable read;\n')
  expect((await lines(second, `set transaction snapshot '${name}'`)).at(-1)).toBe(
    `ERROR:  22023: invalid snapshot identifier: "${name}"`,
  )
  await runScript(second, 'rollback;\n')
})

test('what PostgreSQL refuses', async () => {
  await runScript(first, 'begin;\n')
  const name = (await lines(first, 'select pg_export_snapshot()')).at(-1)!
  for (const [begin, answer] of [
    [
      'begin',
      'ERROR:  0A000: a snapshot-importing transaction must have isolation level SERIALIZABLE or REPEATABLE READ',
    ],
    [
      'begin isolation level serializable',
      'ERROR:  0A000: a serializable transaction cannot import a snapshot from a non-serializable transaction',
    ],
    [
      'begin isolation level repeatable read;\nselect 1',
      'ERROR:  25001: SET TRANSACTION SNAPSHOT must be called before any query',
    ],
  ] as const) {
    await runScript(second, `${begin};\n`)
    expect((await lines(second, `set transaction snapshot '${name}'`)).at(-1)).toBe(answer)
    await runScript(second, 'rollback;\n')
  }
  await runScript(first, 'rollback;\n')
})
