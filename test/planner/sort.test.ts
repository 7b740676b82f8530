/** Sorting where it is to be avoided. */
import { expect, test } from 'vitest'
import { openEmbedded } from '../session/embedded.ts'

test('enable_sort = off: what comes in order is preferred, whatever it costs', async () => {
  const { ask, close } = await openEmbedded()
  await ask('create table t (id int primary key, v vector(3))')
  await ask('insert into t select i, array[i, i, i]::vector from generate_series(1, 20) i')
  await ask('create index t_v on t using hnsw (v vector_l2_ops)')
  await ask('set enable_seqscan = off')
  const nearest = `explain (costs off) select id from t order by v <-> '[1,1,1]' limit 3`
  expect(await ask(nearest)).toContain('Sort')
  await ask('set enable_sort = off')
  expect(await ask(nearest)).toContain('Index Scan using t_v on t')
  expect(await ask('explain select id from t order by v')).toMatch(/Sort {2}\(cost=1000000000\d/)
  await close()
})
