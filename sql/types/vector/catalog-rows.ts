/**
 * What pgvector's extension script declares for the type vector, as rows of PostgreSQL's catalogs: the same columns by
 * the same names, references as oids. The catalog adds them to its own data, so that vector is simply there.
 *
 *     16001 vector   16002 vector[]   16003 hnsw   16004 ivfflat
 *     16010… functions   16060… operators   16080… casts   16090… operator families and classes   16110… their members
 */

const VECTOR = 16001
const VECTOR_ARRAY = 16002
const HNSW = 16003
const IVFFLAT = 16004
const BTREE = 403
const PG_CATALOG = 11
const SUPERUSER = 10
const LANGUAGE_C_INTERNAL = 12
const FLOAT_FAMILY = 1970

const BOOL = 16
const BYTEA = 17
const INT4 = 23
const FLOAT8 = 701
const CSTRING = 2275
const INTERNAL = 2281
const OID = 26
const BIT = 1560
const CSTRING_ARRAY = 1263
const INT4_ARRAY = 1007
const FLOAT4_ARRAY = 1021
const FLOAT8_ARRAY = 1022
const NUMERIC_ARRAY = 1231

export interface ProcRow {
  readonly oid: number
  readonly proname: string
  readonly pronamespace: number
  readonly proowner: number
  readonly prolang: number
  readonly procost: number
  readonly prorows: number
  readonly provariadic: number
  readonly prokind: 'f' | 'a'
  readonly proisstrict: boolean
  readonly proretset: boolean
  readonly provolatile: 'i'
  readonly proparallel: 's'
  readonly pronargs: number
  readonly pronargdefaults: number
  readonly prorettype: number
  readonly proargtypes: readonly number[]
  readonly prosrc: string
}

/** [name, argument types, result]; the oid is the place in the list. */
const FUNCTIONS: readonly (readonly [string, readonly number[], number])[] = [
  ['vector_in', [CSTRING, OID, INT4], VECTOR],
  ['vector_out', [VECTOR], CSTRING],
  ['vector_typmod_in', [CSTRING_ARRAY], INT4],
  ['vector_recv', [INTERNAL, OID, INT4], VECTOR],
  ['vector_send', [VECTOR], BYTEA],
  ['l2_distance', [VECTOR, VECTOR], FLOAT8],
  ['inner_product', [VECTOR, VECTOR], FLOAT8],
  ['cosine_distance', [VECTOR, VECTOR], FLOAT8],
  ['l1_distance', [VECTOR, VECTOR], FLOAT8],
  ['vector_dims', [VECTOR], INT4],
  ['vector_norm', [VECTOR], FLOAT8],
  ['l2_normalize', [VECTOR], VECTOR],
  ['binary_quantize', [VECTOR], BIT],
  ['subvector', [VECTOR, INT4, INT4], VECTOR],
  ['vector_add', [VECTOR, VECTOR], VECTOR],
  ['vector_sub', [VECTOR, VECTOR], VECTOR],
  ['vector_mul', [VECTOR, VECTOR], VECTOR],
  ['vector_concat', [VECTOR, VECTOR], VECTOR],
  ['vector_lt', [VECTOR, VECTOR], BOOL],
  ['vector_le', [VECTOR, VECTOR], BOOL],
  ['vector_eq', [VECTOR, VECTOR], BOOL],
  ['vector_ne', [VECTOR, VECTOR], BOOL],
  ['vector_ge', [VECTOR, VECTOR], BOOL],
  ['vector_gt', [VECTOR, VECTOR], BOOL],
  ['vector_cmp', [VECTOR, VECTOR], INT4],
  ['vector_l2_squared_distance', [VECTOR, VECTOR], FLOAT8],
  ['vector_negative_inner_product', [VECTOR, VECTOR], FLOAT8],
  ['vector_spherical_distance', [VECTOR, VECTOR], FLOAT8],
  ['vector_accum', [FLOAT8_ARRAY, VECTOR], FLOAT8_ARRAY],
  ['vector_avg', [FLOAT8_ARRAY], VECTOR],
  ['vector_combine', [FLOAT8_ARRAY, FLOAT8_ARRAY], FLOAT8_ARRAY],
  ['vector', [VECTOR, INT4, BOOL], VECTOR],
  ['array_to_vector', [INT4_ARRAY, INT4, BOOL], VECTOR],
  ['array_to_vector', [FLOAT4_ARRAY, INT4, BOOL], VECTOR],
  ['array_to_vector', [FLOAT8_ARRAY, INT4, BOOL], VECTOR],
  ['array_to_vector', [NUMERIC_ARRAY, INT4, BOOL], VECTOR],
  ['vector_to_float4', [VECTOR, INT4, BOOL], FLOAT4_ARRAY],
  ['hnswhandler', [INTERNAL], 325],
  ['ivfflathandler', [INTERNAL], 325],
  ['avg', [VECTOR], VECTOR],
  ['sum', [VECTOR], VECTOR],
]
const FIRST_FUNCTION = 16010
const AGGREGATES = ['avg', 'sum']

export const pg_proc: readonly ProcRow[] = FUNCTIONS.map(([proname, proargtypes, prorettype], i) => {
  const aggregate = AGGREGATES.includes(proname)
  return {
    oid: FIRST_FUNCTION + i,
    proname,
    pronamespace: PG_CATALOG,
    proowner: SUPERUSER,
    prolang: LANGUAGE_C_INTERNAL,
    procost: 1,
    prorows: 0,
    provariadic: 0,
    prokind: aggregate ? 'a' : 'f',
    proisstrict: !aggregate,
    proretset: false,
    provolatile: 'i',
    proparallel: 's',
    pronargs: proargtypes.length,
    pronargdefaults: 0,
    prorettype,
    proargtypes,
    prosrc: aggregate ? 'aggregate_dummy' : proname,
  }
})

/** The oid of the function of that name, the first with that first argument type where there are several. */
function functionOid(name: string, firstArgument?: number): number {
  const found = pg_proc.find(
    (row) => row.proname === name && (firstArgument === undefined || row.proargtypes[0] === firstArgument),
  )
  if (found === undefined) throw new Error(`no function ${name} among vector's`)
  return found.oid
}

const typeRow = {
  typnamespace: PG_CATALOG,
  typowner: SUPERUSER,
  typlen: -1,
  typbyval: false,
  typtype: 'b',
  typispreferred: false,
  typisdefined: true,
  typdelim: ',',
  typrelid: 0,
  typanalyze: 0,
  typalign: 'i',
  typnotnull: false,
  typbasetype: 0,
  typtypmod: -1,
  typndims: 0,
  typcollation: 0,
} as const

/** array_in, array_out and so on are PostgreSQL's own functions. */
export const pg_type = [
  {
    ...typeRow,
    oid: VECTOR,
    typname: 'vector',
    typcategory: 'U',
    typsubscript: 0,
    typelem: 0,
    typarray: VECTOR_ARRAY,
    typinput: functionOid('vector_in'),
    typoutput: functionOid('vector_out'),
    typreceive: functionOid('vector_recv'),
    typsend: functionOid('vector_send'),
    typmodin: functionOid('vector_typmod_in'),
    typmodout: 0,
    typstorage: 'e',
  },
  {
    ...typeRow,
    oid: VECTOR_ARRAY,
    typname: '_vector',
    typcategory: 'A',
    typsubscript: 6179,
    typelem: VECTOR,
    typarray: 0,
    typinput: 750,
    typoutput: 751,
    typreceive: 2400,
    typsend: 2401,
    typmodin: functionOid('vector_typmod_in'),
    typmodout: 0,
    typstorage: 'x',
  },
] as const

export const pg_aggregate = [
  {
    name: 'avg',
    transition: 'vector_accum',
    final: functionOid('vector_avg'),
    combine: 'vector_combine',
    type: FLOAT8_ARRAY,
    initial: '{0}',
  },
  { name: 'sum', transition: 'vector_add', final: 0, combine: 'vector_add', type: VECTOR, initial: null },
].map((row) => ({
  aggfnoid: functionOid(row.name),
  aggkind: 'n',
  aggnumdirectargs: 0,
  aggtransfn: functionOid(row.transition),
  aggfinalfn: row.final,
  aggcombinefn: functionOid(row.combine),
  aggserialfn: 0,
  aggdeserialfn: 0,
  aggmtransfn: 0,
  aggminvtransfn: 0,
  aggmfinalfn: 0,
  aggfinalextra: false,
  aggmfinalextra: false,
  aggfinalmodify: 'r',
  aggmfinalmodify: 'r',
  aggsortop: 0,
  aggtranstype: row.type,
  aggtransspace: 0,
  aggmtranstype: 0,
  aggmtransspace: 0,
  agginitval: row.initial,
  aggminitval: null,
}))

/** [operator, function, result, commutator, negator, restriction and join estimators]. */
const OPERATORS: readonly (readonly [string, string, number, string?, string?, string?, string?])[] = [
  ['<->', 'l2_distance', FLOAT8, '<->'],
  ['<#>', 'vector_negative_inner_product', FLOAT8, '<#>'],
  ['<=>', 'cosine_distance', FLOAT8, '<=>'],
  ['<+>', 'l1_distance', FLOAT8, '<+>'],
  ['+', 'vector_add', VECTOR, '+'],
  ['-', 'vector_sub', VECTOR],
  ['*', 'vector_mul', VECTOR, '*'],
  ['||', 'vector_concat', VECTOR],
  ['<', 'vector_lt', BOOL, '>', '>=', 'scalarltsel', 'scalarltjoinsel'],
  ['<=', 'vector_le', BOOL, '>=', '>', 'scalarlesel', 'scalarlejoinsel'],
  ['=', 'vector_eq', BOOL, '=', '<>', 'eqsel', 'eqjoinsel'],
  ['<>', 'vector_ne', BOOL, '<>', '=', 'eqsel', 'eqjoinsel'],
  ['>=', 'vector_ge', BOOL, '<=', '<', 'scalargesel', 'scalargejoinsel'],
  ['>', 'vector_gt', BOOL, '<', '<=', 'scalargtsel', 'scalargtjoinsel'],
]
/** pg_proc.oid of PostgreSQL's estimators. */
const ESTIMATORS: Readonly<Record<string, number>> = {
  eqsel: 101,
  scalarltsel: 103,
  scalargtsel: 104,
  eqjoinsel: 105,
  scalarltjoinsel: 107,
  scalargtjoinsel: 108,
  scalarlesel: 336,
  scalargesel: 337,
  scalarlejoinsel: 386,
  scalargejoinsel: 398,
}

const FIRST_OPERATOR = 16060
const operatorOid = (name: string | undefined): number =>
  name === undefined ? 0 : FIRST_OPERATOR + OPERATORS.findIndex(([operator]) => operator === name)

export const pg_operator = OPERATORS.map(([oprname, code, oprresult, commutator, negator, restrict, join]) => ({
  oid: operatorOid(oprname),
  oprname,
  oprnamespace: PG_CATALOG,
  oprowner: SUPERUSER,
  oprkind: 'b',
  oprcanmerge: false,
  oprcanhash: false,
  oprleft: VECTOR,
  oprright: VECTOR,
  oprresult,
  oprcom: operatorOid(commutator),
  oprnegate: operatorOid(negator),
  oprcode: functionOid(code),
  oprrest: restrict === undefined ? 0 : ESTIMATORS[restrict]!,
  oprjoin: join === undefined ? 0 : ESTIMATORS[join]!,
}))

export const pg_cast = (
  [
    [VECTOR, VECTOR, functionOid('vector'), 'i'],
    [VECTOR, FLOAT4_ARRAY, functionOid('vector_to_float4'), 'i'],
    [INT4_ARRAY, VECTOR, functionOid('array_to_vector', INT4_ARRAY), 'a'],
    [FLOAT4_ARRAY, VECTOR, functionOid('array_to_vector', FLOAT4_ARRAY), 'a'],
    [FLOAT8_ARRAY, VECTOR, functionOid('array_to_vector', FLOAT8_ARRAY), 'a'],
    [NUMERIC_ARRAY, VECTOR, functionOid('array_to_vector', NUMERIC_ARRAY), 'a'],
  ] as const
).map(([castsource, casttarget, castfunc, castcontext], i) => ({
  oid: 16080 + i,
  castsource,
  casttarget,
  castfunc,
  castcontext,
  castmethod: 'f',
}))

export const pg_am = [
  { oid: HNSW, amname: 'hnsw', amhandler: functionOid('hnswhandler'), amtype: 'i' },
  { oid: IVFFLAT, amname: 'ivfflat', amhandler: functionOid('ivfflathandler'), amtype: 'i' },
] as const

/** [method, class, default, distance operator]; a family of the same name belongs to each. */
const CLASSES: readonly (readonly [number, string, boolean, string?])[] = [
  [BTREE, 'vector_ops', true],
  [HNSW, 'vector_l2_ops', false, '<->'],
  [HNSW, 'vector_ip_ops', false, '<#>'],
  [HNSW, 'vector_cosine_ops', false, '<=>'],
  [HNSW, 'vector_l1_ops', false, '<+>'],
  [IVFFLAT, 'vector_l2_ops', true, '<->'],
  [IVFFLAT, 'vector_ip_ops', false, '<#>'],
  [IVFFLAT, 'vector_cosine_ops', false, '<=>'],
]
const familyOid = (i: number) => 16090 + i

export const pg_opfamily = CLASSES.map(([opfmethod, opfname], i) => ({
  oid: familyOid(i),
  opfmethod,
  opfname,
  opfnamespace: PG_CATALOG,
  opfowner: SUPERUSER,
}))

export const pg_opclass = CLASSES.map(([opcmethod, opcname, opcdefault], i) => ({
  oid: 16100 + i,
  opcmethod,
  opcname,
  opcnamespace: PG_CATALOG,
  opcowner: SUPERUSER,
  opcfamily: familyOid(i),
  opcintype: VECTOR,
  opcdefault,
  opckeytype: 0,
}))

const member = { amoplefttype: VECTOR, amoprighttype: VECTOR } as const

/** b-tree: the five comparisons by strategy. The others: their distance, which orders as float8 does. */
export const pg_amop = CLASSES.flatMap(([amopmethod, , , distance], i) =>
  distance === undefined
    ? ['<', '<=', '=', '>=', '>'].map((operator, j) => ({
        ...member,
        amopfamily: familyOid(i),
        amopstrategy: j + 1,
        amoppurpose: 's',
        amopopr: operatorOid(operator),
        amopmethod,
        amopsortfamily: 0,
      }))
    : [
        {
          ...member,
          amopfamily: familyOid(i),
          amopstrategy: 1,
          amoppurpose: 'o',
          amopopr: operatorOid(distance),
          amopmethod,
          amopsortfamily: FLOAT_FAMILY,
        },
      ],
).map((row, i) => ({ oid: 16110 + i, ...row }))

export const pg_amproc = [
  {
    oid: 16130,
    amprocfamily: familyOid(0),
    amproclefttype: VECTOR,
    amprocrighttype: VECTOR,
    amprocnum: 1,
    amproc: functionOid('vector_cmp'),
  },
] as const
