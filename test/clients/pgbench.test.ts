/** pgbench: its set-up in both ways, and its built-in scripts in every mode; afterwards the sums agree. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pgbench, psql } from '../support/psql.ts'
import { clientProgram, type TestServer } from '../support/server.ts'
import { startTarget } from '../support/target.ts'

const isInstalled = clientProgram('pgbench') !== undefined
if (!isInstalled) console.log('pgbench is not installed: its tests are left out')

describe.runIf(isInstalled)('pgbench', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTarget()
  })
  afterAll(() => server?.dispose())

  const select = async (text: string) => (await psql(server, ['-qAt', '-c', text])).out.trim()

  test('-i -s 1, rows from the client', async () => {
    const ran = await pgbench(server, ['-i', '-s', '1'])
    expect(ran.err).toContain('done in')
    expect(ran.code).toBe(0)
    expect(await select('select count(*), min(aid), max(aid), sum(bid) from pgbench_accounts')).toBe(
      '100000|1|100000|100000',
    )
  })
  test.each(
    ['tpcb-like', 'simple-update', 'select-only'].flatMap((script) =>
      ['simple', 'extended', 'prepared'].map((mode) => [script, mode] as const),
    ),
  )('-b %s -M %s', async (script, mode) => {
    const ran = await pgbench(server, ['-n', '-b', script, '-M', mode, '-c', '4', '-j', '2', '-t', '50'])
    expect(ran.err.split('\n').filter((line) => line.includes('error'))).toEqual([])
    expect(ran.out).toContain('number of transactions actually processed: 200/200')
    expect(ran.out).toContain('number of failed transactions: 0 (0.000%)')
  })
  test('the sums agree', async () => {
    expect(
      await select(
        'select (select sum(tbalance) from pgbench_tellers) = (select sum(bbalance) from pgbench_branches), ' +
          '(select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history), ' +
          'count(*) from pgbench_history',
      ),
    ).toBe('t|t|1200')
  })
  test('-i with foreign keys, rows from the server', async () => {
    const ran = await pgbench(server, ['-i', '-I', 'dtGvpf', '-s', '1'])
    expect(ran.err).toContain('done in')
    expect(ran.code).toBe(0)
    expect(await select('select count(*), sum(bid) from pgbench_accounts')).toBe('100000|100000')
    const run = await pgbench(server, ['-v', '-N', '-M', 'prepared', '-c', '2', '-t', '20'])
    expect(run.out).toContain('number of transactions actually processed: 40/40')
  })
})
