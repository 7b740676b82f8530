/**
 * pg_catalog.alopex_vector_indexes: how each vector index of the database does. A view over the function below it, as
 * PostgreSQL's statistics views are; their catalog rows, in the columns of PostgreSQL's tables.
 *
 *     15980 alopex_vector_index_status()   15981 the view   15982 its row type   15983 its rule
 */
const FUNCTION = 15_980
export const VECTOR_VIEW = 15_981
const ROW_TYPE = 15_982
const RULE = 15_983
const PG_CATALOG = 11
const PG_CLASS = 1259
const SUPERUSER = 10

const TYPES = {
  oid: { oid: 26, length: 4, byValue: true, align: 'i', storage: 'p', collation: 0 },
  name: { oid: 19, length: 64, byValue: false, align: 'c', storage: 'p', collation: 950 },
  text: { oid: 25, length: -1, byValue: false, align: 'i', storage: 'x', collation: 100 },
  int8: { oid: 20, length: 8, byValue: true, align: 'd', storage: 'p', collation: 0 },
  float8: { oid: 701, length: 8, byValue: true, align: 'd', storage: 'p', collation: 0 },
  timestamptz: { oid: 1184, length: 8, byValue: true, align: 'd', storage: 'p', collation: 0 },
} as const

/** What the function tells of one index, in this order. */
const STATUS = [
  ['indexrelid', 'oid'],
  ['relid', 'oid'],
  ['state', 'text'],
  ['phase', 'text'],
  ['entries', 'int8'],
  ['tail', 'int8'],
  ['dead_share', 'float8'],
  ['memory_bytes', 'int8'],
  ['recall', 'float8'],
  ['calibration', 'text'],
  ['last_build', 'timestamptz'],
  ['build_ms', 'float8'],
] as const satisfies readonly (readonly [string, keyof typeof TYPES])[]

const COLUMNS = [
  ['schemaname', 'name'],
  ['tablename', 'name'],
  ['indexname', 'name'],
  ['method', 'name'],
  ...STATUS.slice(2),
] as const satisfies readonly (readonly [string, keyof typeof TYPES])[]

export const VECTOR_VIEW_SQL = ` SELECT n.nspname AS schemaname,
    c.relname AS tablename,
    i.relname AS indexname,
    a.amname AS method,
${STATUS.slice(2)
  .map(([name]) => `    s.${name}`)
  .join(',\n')}
   FROM ((((pg_catalog.alopex_vector_index_status() s(${STATUS.map(([name]) => name).join(', ')})
     JOIN pg_catalog.pg_class i ON ((i.oid = s.indexrelid)))
     JOIN pg_catalog.pg_class c ON ((c.oid = s.relid)))
     JOIN pg_catalog.pg_namespace n ON ((n.oid = c.relnamespace)))
     JOIN pg_catalog.pg_am a ON ((a.oid = i.relam)));`

export const pg_proc = [
  {
    oid: FUNCTION,
    proname: 'alopex_vector_index_status',
    pronamespace: PG_CATALOG,
    proowner: SUPERUSER,
    prolang: 12,
    procost: 1,
    prorows: 10,
    provariadic: 0,
    prokind: 'f',
    proisstrict: true,
    proretset: true,
    provolatile: 'v',
    proparallel: 'r',
    pronargs: 0,
    pronargdefaults: 0,
    prorettype: 2249,
    proargtypes: [],
    proallargtypes: STATUS.map(([, type]) => TYPES[type].oid),
    proargmodes: `{${STATUS.map(() => 'o').join(',')}}`,
    proargnames: `{${STATUS.map(([name]) => name).join(',')}}`,
    prosrc: 'alopex_vector_index_status',
  },
]

export const pg_class = [
  {
    oid: VECTOR_VIEW,
    relname: 'alopex_vector_indexes',
    relnamespace: PG_CATALOG,
    reltype: ROW_TYPE,
    reloftype: 0,
    relowner: SUPERUSER,
    relam: 0,
    relfilenode: 0,
    reltablespace: 0,
    relpages: 0,
    reltuples: -1,
    relallvisible: 0,
    reltoastrelid: 0,
    relhasindex: false,
    relisshared: false,
    relpersistence: 'p',
    relkind: 'v',
    relnatts: COLUMNS.length,
    relchecks: 0,
    relhasrules: true,
    relhastriggers: false,
    relhassubclass: false,
    relrowsecurity: false,
    relforcerowsecurity: false,
    relispopulated: true,
    relreplident: 'n',
    relispartition: false,
    relrewrite: 0,
    relfrozenxid: 0,
    relminmxid: 0,
    relacl: '{postgres=arwdDxt/postgres,=r/postgres}',
  },
]

/** Who may read it from the start: pg_dump writes down only what differs from this. */
export const pg_init_privs = pg_class.map(({ oid, relacl }) => ({
  objoid: oid,
  classoid: PG_CLASS,
  objsubid: 0,
  privtype: 'i',
  initprivs: relacl,
}))

export const pg_attribute = COLUMNS.map(([attname, type], i) => ({
  attrelid: VECTOR_VIEW,
  attname,
  atttypid: TYPES[type].oid,
  attstattarget: -1,
  attlen: TYPES[type].length,
  attnum: i + 1,
  attndims: 0,
  attcacheoff: -1,
  atttypmod: -1,
  attbyval: TYPES[type].byValue,
  attalign: TYPES[type].align,
  attstorage: TYPES[type].storage,
  attcompression: '',
  attnotnull: false,
  atthasdef: false,
  atthasmissing: false,
  attidentity: '',
  attgenerated: '',
  attisdropped: false,
  attislocal: true,
  attinhcount: 0,
  attcollation: TYPES[type].collation,
}))

export const pg_type = [
  {
    oid: ROW_TYPE,
    typname: 'alopex_vector_indexes',
    typnamespace: PG_CATALOG,
    typowner: SUPERUSER,
    typlen: -1,
    typbyval: false,
    typtype: 'c',
    typcategory: 'C',
    typispreferred: false,
    typisdefined: true,
    typdelim: ',',
    typrelid: VECTOR_VIEW,
    typsubscript: 0,
    typelem: 0,
    typarray: 0,
    typinput: 2290,
    typoutput: 2291,
    typreceive: 2402,
    typsend: 2403,
    typmodin: 0,
    typmodout: 0,
    typanalyze: 0,
    typalign: 'd',
    typstorage: 'x',
    typnotnull: false,
    typbasetype: 0,
    typtypmod: -1,
    typndims: 0,
    typcollation: 0,
  },
]

export const pg_rewrite = [
  { oid: RULE, rulename: '_RETURN', ev_class: VECTOR_VIEW, ev_type: '1', ev_enabled: 'O', is_instead: true },
]
