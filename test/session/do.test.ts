/** DO: what migrations write, and PL/pgSQL's own words for what goes wrong; the same against PostgreSQL 15. */
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { TestServer } from '../support/server.ts'
import { isPostgres, startTarget } from '../support/target.ts'

let server: TestServer
let client: pg.Client
const notices: string[] = []
beforeAll(async () => {
  server = await startTarget()
  client = new pg.Client({ host: server.host, port: server.port, user: 'postgres', database: 'alopex' })
  client.on('notice', (notice) => notices.push(`${notice.severity} ${notice.message}`))
  await client.connect()
})
beforeEach(() => {
  notices.length = 0
})
afterAll(async () => {
  await client?.end()
  await server?.dispose()
})

const run = (body: string) => client.query(`do $$ begin ${body} end $$`)
const rows = async (text: string) => (await client.query({ text, rowMode: 'array' })).rows.map(([value]) => value)

test('something that is there already is no error', async () => {
  const make = "create type mood as enum ('sad'); exception when duplicate_object then null;"
  expect((await run(make)).command).toBe('DO')
  await run(make)
  expect(await rows("select 'sad'::mood::text")).toEqual(['sad'])
})
test('a block that fails is undone whole, what stands before it stays', async () => {
  await client.query('create table t (a int primary key)')
  await run(`
    insert into t values (1);
    begin
      insert into t values (2);
      create table other (b int);
      insert into t values (1);
    exception when not_null_violation then raise 'never';
      when unique_violation or check_violation then
        raise notice '%: %', sqlstate, sqlerrm;
        insert into t values (3);
    end;`)
  expect(await rows('select a from t order by a')).toEqual([1, 3])
  expect(await rows("select to_regclass('other')")).toEqual([null])
  expect(notices).toEqual(['NOTICE 23505: duplicate key value violates unique constraint "t_pkey"'])
  await expect(run('insert into t values (9); perform 1/0;')).rejects.toMatchObject({ code: '22012' })
  expect(await rows('select count(*)::int from t')).toEqual([2])
})
test('IF, EXECUTE, RETURN', async () => {
  const add = `if not exists (select from information_schema.columns where table_name = 't' and column_name = 'b') then
      execute format('alter table %I add column b text', 't');
    elsif (select count(*) from t) > 1 then raise notice 'there'; return;
    else raise 'never';
    end if;
    raise notice 'done';`
  await run(add)
  await run(add)
  expect(notices).toEqual(['NOTICE done', 'NOTICE there'])
})
test.each([
  ['select 1;', '42601', 'query has no destination for result data', /line 1 at SQL statement$/],
  [
    'if 1/0 = 1 then null; end if;',
    '22012',
    'division by zero',
    /^SQL expression "1\/0 = 1"\nPL\/pgSQL function inline_code_block line 1 at IF$/,
  ],
  ['\n\nperform 1/0;', '22012', 'division by zero', /^SQL statement "SELECT 1\/0"\n.* line 3 at PERFORM$/],
  ["execute 'select 1/0' || '';", '22012', 'division by zero', /^SQL statement "select 1\/0"\n.* at EXECUTE$/],
  ['execute null;', '22004', 'query string argument of EXECUTE is null', /at EXECUTE$/],
  ["raise 'a %%, % and %', 1, null;", 'P0001', 'a %, 1 and <NULL>', /at RAISE$/],
  ["raise division_by_zero using message = 'm', detail = 'd', hint = 'h';", '22012', 'm', /at RAISE$/],
  ["raise sqlstate '22000';", '22000', '22000', /at RAISE$/],
  ['raise;', '0Z002', 'RAISE without parameters cannot be used outside an exception handler', /at RAISE$/],
  ['begin perform 1/0; exception when others then raise; end;', '22012', 'division by zero', /at PERFORM$/],
  ['begin perform 1/0; exception when data_corrupted then null; end;', '22012', 'division by zero', /at PERFORM$/],
  ['savepoint a;', '0A000', 'unsupported transaction command in PL/pgSQL', /at SQL statement$/],
  ['copy pg_class to stdout;', '0A000', 'cannot COPY to/from client in PL/pgSQL', /at SQL statement$/],
])('%s', async (body, code, message, where) => {
  await expect(run(body)).rejects.toMatchObject({ code, message, where: expect.stringMatching(where) })
})
test('other languages', async () => {
  await expect(client.query('do language sql $$ select 1 $$')).rejects.toMatchObject({ code: '0A000' })
  await expect(client.query('do language foo $$ $$')).rejects.toMatchObject({ code: '42704' })
})
test.skipIf(isPostgres).each([
  ['declare i int; begin end', 'a variable in DO is not supported'],
  ['begin for i in 1..2 loop end loop; end', 'a variable in DO is not supported'],
  ['begin loop exit; end loop; end', 'LOOP in DO is not supported'],
  ["begin execute 'select $1' using 1; end", 'EXECUTE with INTO or USING in DO is not supported'],
])('%s', async (body, message) => {
  await expect(client.query(`do $$ ${body} $$`)).rejects.toMatchObject({ code: '0A000', message })
})
