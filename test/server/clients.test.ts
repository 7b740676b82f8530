/** Real clients against the fake session: psql, pg, postgres.js, pgbench. */
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { psql, type Served, serveFake } from './fixture.ts'

let served: Served
beforeAll(async () => {
  served = await serveFake()
})
afterAll(() => served.listener.close(0))

describe('psql', () => {
  test('results, notices and errors', async () => {
    const ran = await psql(served.port, [
      '-At',
      '-v',
      'VERBOSITY=verbose',
      '-c',
      'rows 2',
      '-c',
      'notice',
      '-c',
      'error',
    ])
    expect(ran.out).toBe('0|\n1|row 1\nDO\n')
    expect(ran.err).toContain('NOTICE:  00000: look\nHINT:  there\n')
    for (const line of [
      'ERROR:  22012: division by zero',
      'DETAIL:  a detail',
      'HINT:  a hint',
      'CONTEXT:  a context',
      'SCHEMA NAME:  s',
      'TABLE NAME:  t',
      'COLUMN NAME:  c',
      'DATATYPE NAME:  d',
      'CONSTRAINT NAME:  n',
    ]) {
      expect(ran.err).toContain(line)
    }
  })
  test('COPY both ways', async () => {
    const lines = Array.from({ length: 20_000 }, (_, i) => `${i}\tline\n`).join('')
    expect((await psql(served.port, ['-c', 'copy in'], {}, lines)).out).toBe('COPY 20000\n')
    expect((await psql(served.port, ['-c', 'copy out 20000'])).out).toBe(
      Array.from({ length: 20_000 }, (_, i) => `${i}\trow ${i}\n`).join(''),
    )
  })
  test('a large result', async () => {
    expect((await psql(served.port, ['-At', '-c', 'rows 100000'])).out.length).toBeGreaterThan(1_000_000)
  })
})

describe('pg', () => {
  let client: pg.Client
  beforeAll(async () => {
    client = new pg.Client({ port: served.port, host: '127.0.0.1', user: 'postgres', database: 'postgres' })
    await client.connect()
  })
  afterAll(() => client.end())

  test('parameters, named statements, errors', async () => {
    expect((await client.query('echo $1 $2 $3', ['a', null, 7])).rows).toEqual([{ p1: 'a', p2: null, p3: '7' }])
    for (let i = 0; i < 3; i++) {
      expect((await client.query({ name: 'n', text: 'echo $1', values: [i] })).rows).toEqual([{ p1: String(i) }])
    }
    await expect(client.query('error')).rejects.toMatchObject({
      code: '22012',
      detail: 'a detail',
      table: 't',
      position: '8',
    })
    await expect(client.query('error $1', [1])).rejects.toMatchObject({ code: '22012' })
    expect((await client.query('select 1')).rows).toEqual([{ '?column?': 1 }])
  })
  test('notices and notifications', async () => {
    const notice = new Promise((resolve) => client.once('notice', resolve))
    const notification = new Promise((resolve) => client.once('notification', resolve))
    await client.query('notice')
    await client.query('notify')
    expect(await notice).toMatchObject({ message: 'look', hint: 'there' })
    expect(await notification).toMatchObject({ channel: 'channel', payload: 'payload' })
  })
})

describe('postgres.js', () => {
  test('pipelines, cursors, parameters, COPY', async () => {
    const sql = postgres({
      port: served.port,
      host: '127.0.0.1',
      user: 'postgres',
      database: 'postgres',
      max: 2,
      fetch_types: false,
    })
    const results = await Promise.all(Array.from({ length: 200 }, (_, i) => sql.unsafe('echo $1', [String(i)])))
    expect(results.map((rows) => rows[0]?.p1)).toEqual(Array.from({ length: 200 }, (_, i) => String(i)))
    const seen: number[] = []
    await sql.unsafe('rows 10').cursor(3, (rows) => {
      for (const row of rows) seen.push(row.n as number)
    })
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    const writable = await sql.unsafe('copy in').writable()
    await new Promise((resolve, reject) => writable.on('error', reject).on('finish', resolve).end('a\nb\n'))
    await expect(sql.unsafe('error')).rejects.toMatchObject({ code: '22012' })
    await sql.end()
  })
})

describe('pgbench', () => {
  const pgbench = '/usr/lib/postgresql/15/bin/pgbench'
  const folder = mkdtempSync(join(tmpdir(), 'alopex-pgbench-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  test.runIf(existsSync(pgbench)).each(['simple', 'extended', 'prepared'])('-S -M %s', async (mode) => {
    const args = [
      '-n',
      '-S',
      '-M',
      mode,
      '-c',
      '4',
      '-t',
      '500',
      '-h',
      '127.0.0.1',
      '-p',
      String(served.port),
      '-U',
      'postgres',
    ]
    const { stdout } = await promisify(execFile)(pgbench, args)
    expect(stdout).toContain('number of transactions actually processed: 2000/2000')
    expect(stdout).toContain('number of failed transactions: 0')
  })
  test.runIf(existsSync(pgbench))('pipelines', async () => {
    const script = join(folder, 'pipeline.sql')
    writeFileSync(script, '\\startpipeline\nselect 1;\nslow 1;\nrows 3;\n\\endpipeline\n')
    const args = [
      '-n',
      '-f',
      script,
      '-M',
      'extended',
      '-c',
      '4',
      '-t',
      '50',
      '-h',
      '127.0.0.1',
      '-p',
      String(served.port),
      '-U',
      'postgres',
    ]
    const { stdout } = await promisify(execFile)(pgbench, args)
    expect(stdout).toContain('number of failed transactions: 0')
  })
})
