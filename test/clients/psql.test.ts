/** psql, as a person uses it: the first session of the README, and what its commands print beside PostgreSQL 15's own. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { psql } from '../support/psql.ts'
import { clientProgram, type TestServer } from '../support/server.ts'
import { isPostgres, startTarget } from '../support/target.ts'
import { type Block, RECORDED, readBlocks, readCommands, runCommands, setUp } from './psql/blocks.ts'

const isInstalled = clientProgram('psql') !== undefined
if (!isInstalled) console.log('psql is not installed: its tests are left out')

describe.runIf(isInstalled)('psql', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTarget()
  })
  afterAll(() => server?.dispose())

  test.skipIf(isPostgres)('the first session', async () => {
    const script = `
      create table products (id serial primary key, name text, embedding vector(3));
      insert into products (name, embedding) values ('red', '[1,0,0]'), ('green', '[0,1,0]'), ('blue', '[0,0,1.5]');
      select * from products order by embedding <-> '[0.9,0.2,0]' limit 2;
      select name, round((embedding <=> '[1,1,0]')::numeric, 4) as distance from products order by embedding <=> '[1,1,0]', id;
      insert into products (embedding) values ('[1,2]');
      \\d products
      \\dt
    `.replaceAll(/^ +/gm, '')
    const { out } = await psql(server, [], { input: script, mergeErrors: true })
    await psql(server, ['-c', 'drop table products'])
    expect(out).toBe(
      `CREATE TABLE
INSERT 0 3
 id | name  | embedding 
----+-------+-----------
  1 | red   | [1,0,0]
  2 | green | [0,1,0]
(2 rows)

 name  | distance 
-------+----------
 red   |   0.2929
 green |   0.2929
 blue  |   1.0000
(3 rows)

ERROR:  expected 3 dimensions, not 2
                               Table "public.products"
  Column   |   Type    | Collation | Nullable |               Default                
-----------+-----------+-----------+----------+--------------------------------------
 id        | integer   |           | not null | nextval('products_id_seq'::regclass)
 name      | text      |           |          | 
 embedding | vector(3) |           |          | 
Indexes:
    "products_pkey" PRIMARY KEY, btree (id)

          List of relations
 Schema |   Name   | Type  |  Owner   
--------+----------+-------+----------
 public | products | table | postgres
(1 row)

`,
    )
  })

  describe('prints what PostgreSQL 15 prints', () => {
    const recorded = new Map(
      readBlocks(readFileSync(RECORDED, 'utf8')).map(({ command, printed }) => [command, printed]),
    )
    const commands = readCommands()
    let blocks: readonly Block[] = []
    beforeAll(async () => {
      await setUp(server)
      blocks = await runCommands(server, commands)
    })
    test.each(commands.map((command, i) => [command, i] as const))('%s', (command, i) => {
      expect(blocks[i]?.printed).toBe(recorded.get(command))
    })
  })
})
