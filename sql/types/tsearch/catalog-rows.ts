/** Hybrid search, as rows of pg_proc: functions of this server's own. */

const row = {
  pronamespace: 11,
  proowner: 10,
  prolang: 12,
  procost: 1,
  provariadic: 0,
  prokind: 'f',
  proisstrict: true,
  proparallel: 's',
} as const

const REGCLASS = 2205
const NAME = 19
const TEXT = 25
const INT4 = 23
const INT8 = 20
const FLOAT8 = 701
const RECORD = 2249
const VECTOR = 16001

export const pg_proc = [
  {
    ...row,
    oid: 15990,
    proname: 'rrf_score',
    prorows: 0,
    proretset: false,
    provolatile: 'i',
    pronargs: 2,
    pronargdefaults: 1,
    prorettype: FLOAT8,
    proargtypes: [INT8, INT4],
    proargnames: '{rank,k}',
    proargdefaults: '60',
    argdefaults: '{60}',
    prosrc: 'rrf_score',
  },
  {
    ...row,
    oid: 15991,
    proname: 'alopex_hybrid_search',
    procost: 1000,
    prorows: 10,
    proisstrict: false,
    proretset: true,
    provolatile: 's',
    pronargs: 8,
    pronargdefaults: 3,
    prorettype: RECORD,
    proargtypes: [REGCLASS, NAME, TEXT, NAME, VECTOR, INT4, INT4, INT4],
    proallargtypes: [REGCLASS, NAME, TEXT, NAME, VECTOR, INT4, INT4, INT4, TEXT, FLOAT8, INT8, INT8, FLOAT8],
    proargmodes: '{i,i,i,i,i,i,i,i,t,t,t,t,t}',
    proargnames:
      '{tbl,text_column,query,vector_column,query_vector,match_count,rrf_k,candidates,id,score,text_rank,vector_rank,distance}',
    proargdefaults: '10, 60, 100',
    argdefaults: '{10,60,100}',
    prosrc: 'alopex_hybrid_search',
  },
] as const
