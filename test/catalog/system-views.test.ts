/**
 * PostgreSQL's system views: bound from their text and printed again, they are that text. The list of exceptions may only
 * get shorter (they are bound, or bound a little differently: a constant's cast folded, a domain's cast written twice).
 */
import { beforeAll, expect, test } from 'vitest'
import { type BindContext, bind } from '../../sql/binder/binder.ts'
import { builtinCatalog } from '../../sql/catalog/bootstrap.ts'
import { queryText, systemScope } from '../../sql/catalog/deparse.ts'
import { nameLookup } from '../../sql/catalog/lookup.ts'
import { parse } from '../../sql/parser/parser.ts'
import { DEFAULT_SETTINGS } from '../../sql/types/settings.ts'
import { oid } from '../../storage/keys/brand.ts'
import { registerEverything } from './support.ts'

beforeAll(registerEverything)

/** How many of the 140 views come back exactly. */
const EQUAL_MIN = 84

test('system views are printed as PostgreSQL prints them', async () => {
  const catalog = builtinCatalog()
  const scope = { catalog, searchPath: [oid(11), catalog.namespaceByName('information_schema')!.oid] }
  let equal = 0
  for (const row of catalog.relations()) {
    if (row.view === undefined || !('sql' in row.view)) continue
    const { sql } = row.view
    const [parsed] = await parse(sql)
    const b: BindContext = {
      ...scope,
      typeContext: {
        type: (wanted) => catalog.type(wanted),
        settings: DEFAULT_SETTINGS,
        transactionTimestamp: 0,
        names: nameLookup(scope),
      },
      source: sql,
      parameters: [],
      parametersFixed: true,
      dependsOnSettings: false,
      dependsOnClock: false,
      relationsUsed: new Set(),
      accesses: new Map(),
      viewAccesses: [],
      notice() {},
    }
    try {
      const query = bind(b, parsed!.node)
      if (`${queryText(systemScope(catalog), query)};` === sql) equal++
    } catch (error) {
      if (!(error instanceof Error && error.name === 'SqlError')) throw error
    }
  }
  expect(equal).toBeGreaterThanOrEqual(EQUAL_MIN)
})
