/** Statements that wait, stream or come through the extended protocol: what golden scripts cannot show. */
import { afterEach, describe, expect, test } from 'vitest'
import type { Session } from '../../sql/session/session.ts'
import type { SqlError } from '../../sql/types/error.ts'
import { collect } from './collect.ts'
import { type Embedded, openEmbedded } from './embedded.ts'

let open: Embedded[] = []
async function embedded(): Promise<Embedded> {
  const made = await openEmbedded()
  open.push(made)
  return made
}
afterEach(async () => {
  for (const each of open) await each.close()
  open = []
})

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20))
/** One statement through Parse, Bind, Execute, Sync. */
async function execute(session: Session, sql: string, values: readonly (string | null)[], maxRows = 0) {
  const sink = collect()
  await session.parse('', sql, [])
  await session.bind(
    '',
    '',
    [],
    values.map((value) => (value === null ? null : Buffer.from(value))),
    [],
  )
  await session.execute('', maxRows, sink)
  await session.sync(sink)
  return sink
}

describe('the extended protocol', () => {
  test('EXPLAIN, EXECUTE, FETCH and SHOW describe their columns', async () => {
    const e = await embedded()
    const session = await e.session()
    await e.ask('PREPARE p(int) AS SELECT $1 AS one, $1::text AS two')
    const fieldsOf = async (sql: string) => {
      await session.parse('', sql, [])
      return (await session.describeStatement('')).fields?.map((field) => `${field.name} ${field.type.name}`)
    }
    expect(await fieldsOf('EXPLAIN SELECT 1')).toEqual(['QUERY PLAN text'])
    expect(await fieldsOf('EXPLAIN (FORMAT json) SELECT 1')).toEqual(['QUERY PLAN json'])
    expect(await fieldsOf('EXECUTE p(1)')).toEqual(['one int4', 'two text'])
    await e.ask('BEGIN')
    await e.ask('DECLARE c CURSOR FOR SELECT 1.5 AS n')
    expect(await fieldsOf('FETCH ALL FROM c')).toEqual(['n numeric'])
    expect(await fieldsOf('MOVE ALL IN c')).toBeUndefined()
  })

  test('parameters reach EXPLAIN and DECLARE', async () => {
    const e = await embedded()
    const session = await e.session()
    await e.ask('BEGIN')
    await execute(session, 'DECLARE c CURSOR FOR SELECT g FROM generate_series(1, 9) g WHERE g > $1', ['6'])
    expect(await e.ask('FETCH ALL FROM c')).toBe('7\n8\n9\nFETCH 3')
    const explained = await execute(session, 'EXPLAIN (COSTS OFF) SELECT g FROM generate_series(1, 9) g WHERE g > $1', [
      '6',
    ])
    expect(explained.rows).toEqual([['Function Scan on generate_series g'], ['  Filter: (g > $1)']])
  })

  test('FETCH reads from a portal that Bind made', async () => {
    const e = await embedded()
    const session = await e.session()
    await e.ask('BEGIN')
    const sink = collect()
    await session.parse('s', 'SELECT * FROM generate_series(1, 5) g', [])
    await session.bind('portal', 's', [], [], [])
    await session.execute('portal', 2, sink)
    expect(sink.rows).toEqual([[1], [2]])
    expect(await e.ask('FETCH 2 FROM portal')).toBe('3\n4\nFETCH 2')
    expect(await e.ask('EXECUTE s')).toBe('1\n2\n3\n4\n5\nSELECT 5')
  })
})

describe('waiting', () => {
  test('a cancel ends pg_sleep', async () => {
    const e = await embedded()
    const session = await e.session()
    const asked = e.ask('SELECT pg_sleep(60)')
    await soon()
    session.cancel()
    expect(await asked).toMatch('ERROR 57014: canceling statement due to user request')
    expect(await e.ask('SELECT 1')).toBe('1\nSELECT 1')
  })

  test('a cancelled wait for an advisory lock leaves nothing behind', async () => {
    const e = await embedded()
    await e.ask('SELECT pg_advisory_lock(7)', 'c1')
    const waiting = e.ask('SELECT pg_advisory_lock(7)', 'c2')
    await soon()
    const [pid] = (await e.ask("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'", 'c1')).split('\n')
    expect(await e.ask(`SELECT pg_blocking_pids(${pid}) = ARRAY[pg_backend_pid()]`, 'c1')).toBe('t\nSELECT 1')
    expect(await e.ask(`SELECT pg_cancel_backend(${pid})`, 'c1')).toBe('t\nSELECT 1')
    expect(await waiting).toMatch('ERROR 57014')
    await e.ask('SELECT pg_advisory_unlock(7)', 'c1')
    expect(await e.ask('SELECT count(*) FROM pg_locks', 'c1')).toBe('0\nSELECT 1')
  })

  test('a lock that is set free is given to who waits', async () => {
    const e = await embedded()
    await e.ask('SELECT pg_advisory_lock(7)', 'c1')
    const waiting = e.ask('SELECT pg_advisory_lock(7)', 'c2')
    await soon()
    await e.ask('SELECT pg_advisory_unlock(7)', 'c1')
    expect(await waiting).toBe('\nSELECT 1')
  })

  test('pg_terminate_backend ends another session, with its locks', async () => {
    const e = await embedded()
    await e.ask('SELECT pg_advisory_lock(7)', 'c2')
    const [pid] = (await e.ask('SELECT pg_backend_pid()', 'c2')).split('\n')
    const sleeping = e.ask('SELECT pg_sleep(60)', 'c2')
    await soon()
    expect(await e.ask(`SELECT pg_terminate_backend(${pid})`)).toBe('t\nSELECT 1')
    expect(await sleeping).toMatch('ERROR 57P01: terminating connection due to administrator command')
  })
})

describe('cursors over tables', () => {
  test('show the data as of their declaration', async () => {
    const e = await embedded()
    await e.ask('CREATE TABLE t (a int)')
    await e.ask('INSERT INTO t SELECT * FROM generate_series(1, 3000)')
    await e.ask('BEGIN')
    await e.ask('DECLARE one CURSOR FOR SELECT a FROM t')
    await e.ask('DECLARE two CURSOR FOR SELECT x.a FROM t x JOIN t y ON x.a = y.a')
    await e.ask('DELETE FROM t WHERE a > 5')
    await e.ask('INSERT INTO t VALUES (-1)', 'c2')
    expect(await e.ask('MOVE ALL IN one')).toBe('MOVE 3000')
    expect(await e.ask('MOVE ALL IN two')).toBe('MOVE 3000')
    expect(await e.ask('FETCH ABSOLUTE 2500 FROM one')).toBe('2500\nFETCH 1')
    await e.ask('COMMIT')
    expect(await e.ask('SELECT count(*) FROM t')).toBe('6\nSELECT 1')
  })

  test('… also where rows are got one by one, in a loop or by a search', async () => {
    const e = await embedded()
    await e.ask('CREATE TABLE t (id int PRIMARY KEY, a int, v vector(2))')
    await e.ask('INSERT INTO t SELECT i, i, ARRAY[i, 0]::vector FROM generate_series(1, 1500) i')
    await e.ask('CREATE INDEX ON t (a)')
    await e.ask('CREATE INDEX ON t USING hnsw (v vector_l2_ops)')
    await e.ask('ANALYZE t')
    await e.ask('BEGIN')
    const loop = 'SELECT 1 UNION ALL SELECT id FROM t, r WHERE id = n + 1'
    for (const query of [
      'SELECT id FROM t WHERE a BETWEEN 1 AND 200 ORDER BY a LIMIT 150',
      "SELECT id FROM t ORDER BY v <-> '[0,0]' LIMIT 150",
      "SELECT id FROM t ORDER BY v <-> '[0,0]'",
      `WITH RECURSIVE r(n) AS (${loop}) SELECT n FROM r WHERE n <= 150`,
      'SELECT id FROM generate_series(1, 150) n JOIN t ON id = n',
      "SELECT relname FROM pg_class WHERE relname = 'later'",
    ])
      await e.ask(`DECLARE c${query.length} CURSOR FOR ${query}`)
    await e.ask('DECLARE held CURSOR WITH HOLD FOR SELECT id FROM t ORDER BY v <-> $$[0,0]$$ LIMIT 3')
    await e.ask('DELETE FROM t WHERE id BETWEEN 2 AND 1000')
    await e.ask("INSERT INTO t VALUES (0, 100, '[0,0]')")
    await e.ask('CREATE TABLE later (a int)')
    const names = (await e.ask("SELECT name FROM pg_cursors WHERE name <> 'held' ORDER BY creation_time")).split('\n')
    const moved: string[] = []
    for (const name of names.slice(0, -1)) moved.push(await e.ask(`MOVE ALL IN ${name}`))
    expect(moved).toEqual(['MOVE 150', 'MOVE 150', 'MOVE 1500', 'MOVE 150', 'MOVE 150', 'MOVE 0'])
    await e.ask('COMMIT')
    expect(await e.ask('FETCH ALL FROM held')).toBe('1\n2\n3\nFETCH 3')
  })

  test("… and the protocol's portals, when another statement comes between their portions", async () => {
    const e = await embedded()
    await e.ask('CREATE TABLE t (id int PRIMARY KEY, a int)')
    await e.ask('INSERT INTO t SELECT i, i FROM generate_series(1, 3000) i')
    await e.ask('CREATE INDEX ON t (a)')
    await e.ask('ANALYZE t')
    await e.ask('BEGIN')
    const session = await e.session()
    const sink = collect()
    for (const [name, query] of [
      ['rows', 'SELECT id FROM t WHERE a < 300 ORDER BY a'],
      ['fails', 'SELECT 1 / (200 - id) FROM t WHERE a BETWEEN 100 AND 300 ORDER BY a'],
    ] as const) {
      await session.parse(name, query, [])
      await session.bind(name, name, [], [], [])
      await session.execute(name, 10, sink)
    }
    await e.ask('DELETE FROM t WHERE id > 5')
    await session.execute('rows', 200, sink)
    await session.execute('rows', 0, sink)
    expect(sink.tags).toEqual(['suspended', 'suspended', 'suspended', 'SELECT 89'])
    expect(sink.rows.length).toBe(10 + 10 + 200 + 89)
    await expect(async () => session.execute('fails', 0, sink)).rejects.toThrow('division by zero')
    await session.sync(sink)
    await e.ask('ROLLBACK')
  })
})

describe('COPY', () => {
  test('rows cut anywhere go in, and others run meanwhile', async () => {
    const e = await embedded()
    await e.ask('CREATE TABLE t (a int PRIMARY KEY, b text)')
    const whole = Array.from({ length: 20_000 }, (_, i) => `${i}\trow ${i} é\n`).join('')
    const bytes = Buffer.from(whole)
    const chunks: Buffer[] = []
    for (let at = 0; at < bytes.length; at += 997) chunks.push(bytes.subarray(at, at + 997))
    e.copy(chunks)
    let done = false
    const loading = e.ask('COPY t FROM STDIN').then((answer) => {
      done = true
      return answer
    })
    let others = 0
    while (!done) {
      await e.ask('SELECT 1', 'c2')
      others++
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await loading).toBe('COPY 20000')
    expect(others).toBeGreaterThan(5)
    expect(await e.ask("SELECT count(*), max(b) FROM t WHERE b LIKE '% é'")).toBe('20000|row 9999 é\nSELECT 1')
  })

  test('what COPY TO writes in a format, COPY FROM reads', async () => {
    const e = await embedded()
    await e.ask('CREATE TABLE t (a int, b text, c numeric, d timestamptz, e int[])')
    await e.ask(
      `INSERT INTO t VALUES (1, E'tab\\t, "quote" \\\\ back\\nline', 1.50, '2020-02-02 02:02:02+00', '{1,NULL,3}'), (NULL, NULL, NULL, NULL, NULL), (2, '', 'NaN', 'infinity', '{}'), (3, '\\N', 0, '-infinity', NULL)`,
    )
    const before = await e.ask('SELECT * FROM t')
    for (const format of ['text', 'csv', 'binary']) {
      const session = await e.session()
      const sink = collect()
      await session.query(`COPY t TO STDOUT (FORMAT ${format})`, sink)
      await e.ask('DELETE FROM t')
      e.copy(sink.copied.flatMap((bytes) => [bytes.subarray(0, 1), bytes.subarray(1)]))
      expect(await e.ask(`COPY t FROM STDIN (FORMAT ${format})`)).toBe('COPY 4')
      expect(await e.ask('SELECT * FROM t')).toBe(before)
    }
  })

  test('needs its rights, and a transaction that may write', async () => {
    const e = await embedded()
    await e.ask('CREATE TABLE t (a int)')
    e.copy(['1\n'])
    await e.ask('BEGIN READ ONLY')
    expect(await e.ask('COPY t FROM STDIN')).toBe('ERROR 25006: cannot execute COPY FROM in a read-only transaction')
    await e.ask('ROLLBACK')
    await e.ask('CREATE ROLE nobody')
    await e.ask('SET ROLE nobody')
    expect(await e.ask('COPY t FROM STDIN')).toBe('ERROR 42501: permission denied for table t')
    expect(await e.ask('COPY t TO STDOUT')).toBe('ERROR 42501: permission denied for table t')
    expect(await e.ask("COPY (SELECT 1) TO '/tmp/x'")).toMatch(
      'ERROR 42501: must be superuser or have privileges of the pg_write_server_files role to COPY to a file',
    )
  })
})

test('an error is an SqlError with its place', async () => {
  const e = await embedded()
  const session = await e.session()
  const failed = await Promise.resolve()
    .then(() => session.query('EXECUTE nothing', collect()))
    .catch((error: SqlError) => error.code)
  expect(failed).toBe('26000')
})
