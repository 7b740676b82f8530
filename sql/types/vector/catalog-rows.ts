/**
 * What pgvector's extension script declares, as rows of PostgreSQL's catalogs: the same columns by the same names, references
 * as oids. The catalog adds them to its own data, so that the vector types are simply there. The lists read like the script.
 *
 *     16001 vector   16003 hnsw   16004 ivfflat   16005 halfvec   16007 sparsevec   (an array type behind each type)
 *     16010… functions   16145… support functions of classes   16200… operators   16260… casts
 *     16290… operator families   16320… operator classes   16345… their operators
 *
 * https://github.com/pgvector/pgvector, version 0.8
 */

const TYPE_OIDS: Readonly<Record<string, number>> = {
  vector: 16001,
  _vector: 16002,
  halfvec: 16005,
  _halfvec: 16006,
  sparsevec: 16007,
  _sparsevec: 16008,
  bit: 1560,
  bool: 16,
  bytea: 17,
  cstring: 2275,
  _cstring: 1263,
  float8: 701,
  index_am_handler: 325,
  int4: 23,
  internal: 2281,
  oid: 26,
  _int4: 1007,
  _float4: 1021,
  _float8: 1022,
  _numeric: 1231,
}
const PG_CATALOG = 11
const SUPERUSER = 10
const LANGUAGE_C_INTERNAL = 12
const METHODS = { btree: 403, hnsw: 16003, ivfflat: 16004 } as const
const FLOAT_FAMILY = 1970

/** A broken list is a bug of this file. */
function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`no ${what} among vector's`)
  return value
}
const typeOid = (name: string): number => found(TYPE_OIDS[name], `type ${name}`)

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
  readonly provolatile: 'i' | 'v'
  readonly proparallel: 's' | 'u'
  readonly pronargs: number
  readonly pronargdefaults: number
  readonly prorettype: number
  readonly proargtypes: readonly number[]
  readonly prosrc: string
}

const NEW_TYPES = ['vector', 'halfvec', 'sparsevec'] as const
const DENSE_TYPES = ['vector', 'halfvec'] as const
const COMPARISONS = ['lt', 'le', 'eq', 'ne', 'ge', 'gt'] as const

/** `name(argument types) result = prosrc`, the last where it is not the name; T is the type. */
const forEachOf = (types: readonly string[], list: readonly string[]): string[] =>
  types.flatMap((type) =>
    // vector's C functions bear the SQL name, those of the others their type's name before it.
    list.map((line) => line.replaceAll('T_=', type === 'vector' ? '' : `${type}_`).replaceAll('T', type)),
  )

const FUNCTIONS: readonly string[] = [
  ...forEachOf(NEW_TYPES, [
    'T_in(cstring,oid,int4) T',
    'T_out(T) cstring',
    'T_typmod_in(_cstring) int4',
    'T_recv(internal,oid,int4) T',
    'T_send(T) bytea',
    'l2_distance(T,T) float8 = T_=l2_distance',
    'inner_product(T,T) float8 = T_=inner_product',
    'cosine_distance(T,T) float8 = T_=cosine_distance',
    'l1_distance(T,T) float8 = T_=l1_distance',
    'l2_normalize(T) T = T_=l2_normalize',
    ...COMPARISONS.map((name) => `T_${name}(T,T) bool`),
    'T_cmp(T,T) int4',
    'T_l2_squared_distance(T,T) float8',
    'T_negative_inner_product(T,T) float8',
    'T(T,int4,bool) T',
    'array_to_T(_int4,int4,bool) T',
    'array_to_T(_float4,int4,bool) T',
    'array_to_T(_float8,int4,bool) T',
    'array_to_T(_numeric,int4,bool) T',
  ]),
  ...forEachOf(DENSE_TYPES, [
    'vector_dims(T) int4 = T_=vector_dims',
    'binary_quantize(T) bit = T_=binary_quantize',
    'subvector(T,int4,int4) T = T_=subvector',
    'T_add(T,T) T',
    'T_sub(T,T) T',
    'T_mul(T,T) T',
    'T_concat(T,T) T',
    'T_spherical_distance(T,T) float8',
    'T_accum(_float8,T) _float8',
    'T_avg(_float8) T',
    'T_combine(_float8,_float8) _float8 = vector_combine',
    'T_to_float4(T,int4,bool) _float4',
  ]),
  'vector_norm(vector) float8',
  'l2_norm(halfvec) float8 = halfvec_l2_norm',
  'l2_norm(sparsevec) float8 = sparsevec_l2_norm',
  'vector_to_halfvec(vector,int4,bool) halfvec',
  'halfvec_to_vector(halfvec,int4,bool) vector',
  'vector_to_sparsevec(vector,int4,bool) sparsevec',
  'sparsevec_to_vector(sparsevec,int4,bool) vector',
  'halfvec_to_sparsevec(halfvec,int4,bool) sparsevec',
  'sparsevec_to_halfvec(sparsevec,int4,bool) halfvec',
  'hamming_distance(bit,bit) float8',
  'jaccard_distance(bit,bit) float8',
]
/** Called by index methods only. */
const METHOD_FUNCTIONS: readonly string[] = [
  'hnswhandler(internal) index_am_handler',
  'ivfflathandler(internal) index_am_handler',
  'ivfflat_halfvec_support(internal) internal',
  'ivfflat_bit_support(internal) internal',
  'hnsw_halfvec_support(internal) internal',
  'hnsw_bit_support(internal) internal',
  'hnsw_sparsevec_support(internal) internal',
]
const AGGREGATES = forEachOf(DENSE_TYPES, ['avg(T) T = aggregate_dummy', 'sum(T) T = aggregate_dummy'])

const DECLARATION = /^(\w+)\(([\w,]*)\) (\w+)(?: = (\w+))?$/
const FIRST_FUNCTION = 16010
const declarations = [...FUNCTIONS, ...METHOD_FUNCTIONS, ...AGGREGATES]

export const pg_proc: readonly ProcRow[] = declarations.map((line, i) => {
  const [, name, argTypes, result, source] = found(DECLARATION.exec(line) ?? undefined, line)
  const proargtypes = argTypes!.split(',').map(typeOid)
  const isAggregate = AGGREGATES.includes(line)
  const isOfMethod = METHOD_FUNCTIONS.includes(line)
  return {
    oid: FIRST_FUNCTION + i,
    proname: name!,
    pronamespace: PG_CATALOG,
    proowner: SUPERUSER,
    prolang: LANGUAGE_C_INTERNAL,
    procost: 1,
    prorows: 0,
    provariadic: 0,
    prokind: isAggregate ? 'a' : 'f',
    proisstrict: !isAggregate && !isOfMethod,
    proretset: false,
    provolatile: isOfMethod ? 'v' : 'i',
    proparallel: isOfMethod ? 'u' : 's',
    pronargs: proargtypes.length,
    pronargdefaults: 0,
    prorettype: typeOid(result!),
    proargtypes,
    prosrc: source ?? name!,
  }
})

const functionOids = new Map(
  declarations.map((line, i) => [line.slice(0, line.indexOf(')') + 1), FIRST_FUNCTION + i] as const),
)
/** By name and argument types: `l2_distance(vector,vector)`. */
const functionOid = (signature: string): number => found(functionOids.get(signature), signature)

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
  typmodout: 0,
} as const

/** array_in, array_out and so on are PostgreSQL's own functions. */
export const pg_type = NEW_TYPES.flatMap((name) => [
  {
    ...typeRow,
    oid: typeOid(name),
    typname: name,
    typcategory: 'U',
    typsubscript: 0,
    typelem: 0,
    typarray: typeOid(`_${name}`),
    typinput: functionOid(`${name}_in(cstring,oid,int4)`),
    typoutput: functionOid(`${name}_out(${name})`),
    typreceive: functionOid(`${name}_recv(internal,oid,int4)`),
    typsend: functionOid(`${name}_send(${name})`),
    typmodin: functionOid(`${name}_typmod_in(_cstring)`),
    typstorage: 'e',
  },
  {
    ...typeRow,
    oid: typeOid(`_${name}`),
    typname: `_${name}`,
    typcategory: 'A',
    typsubscript: 6179,
    typelem: typeOid(name),
    typarray: 0,
    typinput: 750,
    typoutput: 751,
    typreceive: 2400,
    typsend: 2401,
    typmodin: functionOid(`${name}_typmod_in(_cstring)`),
    typstorage: 'x',
  },
])

const aggregateRow = {
  aggkind: 'n',
  aggnumdirectargs: 0,
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
  aggtransspace: 0,
  aggmtranstype: 0,
  aggmtransspace: 0,
  aggminitval: null,
} as const

export const pg_aggregate = DENSE_TYPES.flatMap((type) => [
  {
    ...aggregateRow,
    aggfnoid: functionOid(`avg(${type})`),
    aggtransfn: functionOid(`${type}_accum(_float8,${type})`),
    aggfinalfn: functionOid(`${type}_avg(_float8)`),
    aggcombinefn: functionOid(`${type}_combine(_float8,_float8)`),
    aggtranstype: typeOid('_float8'),
    agginitval: '{0}',
  },
  {
    ...aggregateRow,
    aggfnoid: functionOid(`sum(${type})`),
    aggtransfn: functionOid(`${type}_add(${type},${type})`),
    aggfinalfn: 0,
    aggcombinefn: functionOid(`${type}_add(${type},${type})`),
    aggtranstype: typeOid(type),
    agginitval: null,
  },
])

interface Operator {
  readonly name: string
  readonly type: string
  readonly code: string
  readonly result: string
  readonly commutator?: string
  readonly negator?: string
  /** The name of PostgreSQL's estimators: of a restriction by it, and of a join. */
  readonly estimator?: keyof typeof ESTIMATORS
}
/** pg_proc.oid of PostgreSQL's estimators: for restrictions, for joins. */
const ESTIMATORS = {
  eqsel: [101, 105],
  scalarltsel: [103, 107],
  scalargtsel: [104, 108],
  scalarlesel: [336, 386],
  scalargesel: [337, 398],
} as const

const distances = (type: string): Operator[] =>
  (
    [
      ['<->', 'l2_distance'],
      ['<#>', `${type}_negative_inner_product`],
      ['<=>', 'cosine_distance'],
      ['<+>', 'l1_distance'],
    ] as const
  ).map(([name, code]) => ({ name, type, code, result: 'float8', commutator: name }))

const arithmetic = (type: string): Operator[] => [
  { name: '+', type, code: `${type}_add`, result: type, commutator: '+' },
  { name: '-', type, code: `${type}_sub`, result: type },
  { name: '*', type, code: `${type}_mul`, result: type, commutator: '*' },
  { name: '||', type, code: `${type}_concat`, result: type },
]

/** `<>` is estimated as equality is, in pgvector's script. */
const comparisons = (type: string): Operator[] =>
  (
    [
      ['<', 'lt', '>', '>=', 'scalarltsel'],
      ['<=', 'le', '>=', '>', 'scalarlesel'],
      ['=', 'eq', '=', '<>', 'eqsel'],
      ['<>', 'ne', '<>', '=', 'eqsel'],
      ['>=', 'ge', '<=', '<', 'scalargesel'],
      ['>', 'gt', '<', '<=', 'scalargtsel'],
    ] as const
  ).map(([name, code, commutator, negator, estimator]) => ({
    name,
    type,
    code: `${type}_${code}`,
    result: 'bool',
    commutator,
    negator,
    estimator,
  }))

const OPERATORS: readonly Operator[] = [
  ...distances('vector'),
  ...arithmetic('vector'),
  ...comparisons('vector'),
  ...distances('halfvec'),
  ...arithmetic('halfvec'),
  ...comparisons('halfvec'),
  { name: '<~>', type: 'bit', code: 'hamming_distance', result: 'float8', commutator: '<~>' },
  { name: '<%>', type: 'bit', code: 'jaccard_distance', result: 'float8', commutator: '<%>' },
  ...distances('sparsevec'),
  ...comparisons('sparsevec'),
]

const FIRST_OPERATOR = 16200
const operatorOids = new Map(OPERATORS.map(({ name, type }, i) => [`${name} ${type}`, FIRST_OPERATOR + i] as const))
const operatorOid = (name: string, type: string): number =>
  found(operatorOids.get(`${name} ${type}`), `operator ${name} of ${type}`)

export const pg_operator = OPERATORS.map(({ name, type, code, result, commutator, negator, estimator }) => ({
  oid: operatorOid(name, type),
  oprname: name,
  oprnamespace: PG_CATALOG,
  oprowner: SUPERUSER,
  oprkind: 'b',
  oprcanmerge: false,
  oprcanhash: false,
  oprleft: typeOid(type),
  oprright: typeOid(type),
  oprresult: typeOid(result),
  oprcom: commutator === undefined ? 0 : operatorOid(commutator, type),
  oprnegate: negator === undefined ? 0 : operatorOid(negator, type),
  oprcode: functionOid(`${code}(${type},${type})`),
  oprrest: estimator === undefined ? 0 : ESTIMATORS[estimator][0],
  oprjoin: estimator === undefined ? 0 : ESTIMATORS[estimator][1],
}))

/** [source, target, function, context]: implicit, in an assignment. */
const CASTS: readonly (readonly [string, string, string, 'i' | 'a'])[] = [
  ['vector', 'vector', 'vector', 'i'],
  ['vector', '_float4', 'vector_to_float4', 'i'],
  ['vector', 'halfvec', 'vector_to_halfvec', 'i'],
  ['vector', 'sparsevec', 'vector_to_sparsevec', 'i'],
  ['halfvec', 'halfvec', 'halfvec', 'i'],
  ['halfvec', '_float4', 'halfvec_to_float4', 'a'],
  ['halfvec', 'vector', 'halfvec_to_vector', 'a'],
  ['halfvec', 'sparsevec', 'halfvec_to_sparsevec', 'i'],
  ['sparsevec', 'sparsevec', 'sparsevec', 'i'],
  ['sparsevec', 'vector', 'sparsevec_to_vector', 'a'],
  ['sparsevec', 'halfvec', 'sparsevec_to_halfvec', 'a'],
  ...NEW_TYPES.flatMap((type) =>
    ['_int4', '_float4', '_float8', '_numeric'].map((array) => [array, type, `array_to_${type}`, 'a'] as const),
  ),
]

export const pg_cast = CASTS.map(([source, target, code, castcontext], i) => ({
  oid: 16260 + i,
  castsource: typeOid(source),
  casttarget: typeOid(target),
  castfunc: functionOid(`${code}(${source},int4,bool)`),
  castcontext,
  castmethod: 'f',
}))

export const pg_am = [
  { oid: METHODS.hnsw, amname: 'hnsw', amhandler: functionOid('hnswhandler(internal)'), amtype: 'i' },
  { oid: METHODS.ivfflat, amname: 'ivfflat', amhandler: functionOid('ivfflathandler(internal)'), amtype: 'i' },
] as const

interface OperatorClass {
  readonly method: keyof typeof METHODS
  readonly name: string
  readonly type: string
  readonly isDefault?: boolean
  /** What it orders by; the classes of b-trees have the comparisons instead. */
  readonly distance?: string
  /** Support functions by their numbers; of one argument of the type, two, or `internal`. */
  readonly support: Readonly<Record<number, string>>
}

/**
 * What an index computes for a metric: 1 the distance, 2 the norm it divides by (cosine), and for ivfflat 3 the distance and
 * 4 the norm of its clustering. The types but vector bring a function that describes them, the last number of the method.
 */
function classes(type: 'vector' | 'halfvec' | 'sparsevec', methods: readonly ('ivfflat' | 'hnsw')[]): OperatorClass[] {
  const both = (name: string) => `${name}(${type},${type})`
  const norm = type === 'vector' ? 'vector_norm(vector)' : `l2_norm(${type})`
  const negativeProduct = both(`${type}_negative_inner_product`)
  const spherical = both(`${type}_spherical_distance`)
  return methods.flatMap((method) => {
    const isIvfflat = method === 'ivfflat'
    const own: Readonly<Record<number, string>> =
      type === 'vector' ? {} : { [isIvfflat ? 5 : 3]: `${method}_${type}_support(internal)` }
    const list: OperatorClass[] = [
      {
        method,
        name: `${type}_l2_ops`,
        type,
        isDefault: isIvfflat && type === 'vector',
        distance: '<->',
        support: { 1: both(`${type}_l2_squared_distance`), ...(isIvfflat ? { 3: both('l2_distance') } : {}), ...own },
      },
      {
        method,
        name: `${type}_ip_ops`,
        type,
        distance: '<#>',
        support: { 1: negativeProduct, ...(isIvfflat ? { 3: spherical, 4: norm } : {}), ...own },
      },
      {
        method,
        name: `${type}_cosine_ops`,
        type,
        distance: '<=>',
        support: { 1: negativeProduct, 2: norm, ...(isIvfflat ? { 3: spherical, 4: norm } : {}), ...own },
      },
    ]
    if (!isIvfflat)
      list.push({ method, name: `${type}_l1_ops`, type, distance: '<+>', support: { 1: both('l1_distance'), ...own } })
    return list
  })
}

const btree = (type: string): OperatorClass => ({
  method: 'btree',
  name: `${type}_ops`,
  type,
  isDefault: true,
  support: { 1: `${type}_cmp(${type},${type})` },
})

/** A family of the same name belongs to each class. */
const CLASSES: readonly OperatorClass[] = [
  ...NEW_TYPES.map(btree),
  ...classes('vector', ['hnsw', 'ivfflat']),
  ...classes('halfvec', ['hnsw', 'ivfflat']),
  ...classes('sparsevec', ['hnsw']),
  {
    method: 'ivfflat',
    name: 'bit_hamming_ops',
    type: 'bit',
    distance: '<~>',
    support: { 1: 'hamming_distance(bit,bit)', 3: 'hamming_distance(bit,bit)', 5: 'ivfflat_bit_support(internal)' },
  },
  {
    method: 'hnsw',
    name: 'bit_hamming_ops',
    type: 'bit',
    distance: '<~>',
    support: { 1: 'hamming_distance(bit,bit)', 3: 'hnsw_bit_support(internal)' },
  },
  {
    method: 'hnsw',
    name: 'bit_jaccard_ops',
    type: 'bit',
    distance: '<%>',
    support: { 1: 'jaccard_distance(bit,bit)', 3: 'hnsw_bit_support(internal)' },
  },
]
const familyOid = (i: number) => 16290 + i

export const pg_opfamily = CLASSES.map(({ method, name }, i) => ({
  oid: familyOid(i),
  opfmethod: METHODS[method],
  opfname: name,
  opfnamespace: PG_CATALOG,
  opfowner: SUPERUSER,
}))

export const pg_opclass = CLASSES.map(({ method, name, type, isDefault }, i) => ({
  oid: 16320 + i,
  opcmethod: METHODS[method],
  opcname: name,
  opcnamespace: PG_CATALOG,
  opcowner: SUPERUSER,
  opcfamily: familyOid(i),
  opcintype: typeOid(type),
  opcdefault: isDefault ?? false,
  opckeytype: 0,
}))

/** b-tree: the five comparisons by strategy. The others: their distance, which orders as float8 does. */
export const pg_amop = CLASSES.flatMap(({ method, type, distance }, i) => {
  const member = {
    amopfamily: familyOid(i),
    amoplefttype: typeOid(type),
    amoprighttype: typeOid(type),
    amopmethod: METHODS[method],
  }
  const search = { ...member, amoppurpose: 's', amopsortfamily: 0 }
  if (distance === undefined)
    return ['<', '<=', '=', '>=', '>'].map((operator, j) => ({
      ...search,
      amopstrategy: j + 1,
      amopopr: operatorOid(operator, type),
    }))
  return [
    {
      ...member,
      amoppurpose: 'o',
      amopsortfamily: FLOAT_FAMILY,
      amopstrategy: 1,
      amopopr: operatorOid(distance, type),
    },
  ]
}).map((row, i) => ({ oid: 16345 + i, ...row }))

export const pg_amproc = CLASSES.flatMap(({ type, support }, i) =>
  Object.entries(support).map(([number, signature]) => ({
    amprocfamily: familyOid(i),
    amproclefttype: typeOid(type),
    amprocrighttype: typeOid(type),
    amprocnum: Number(number),
    amproc: functionOid(signature),
  })),
).map((row, i) => ({ oid: 16145 + i, ...row }))

/** The extension that all this belongs to. */
export const EXTENSION = {
  name: 'vector',
  version: '0.8.6',
  comment: 'vector data type and ivfflat and hnsw access methods',
} as const

const PG_TYPE = 1247
const PG_AM = 2601
/** Its members: the oid of their catalog (pg_class.oid) and their own. Array types belong to their types. */
export const MEMBERS: readonly (readonly [classOid: number, oid: number])[] = [
  ...pg_type.filter((row) => row.typelem === 0).map((row) => [PG_TYPE, row.oid] as const),
  ...pg_proc.map((row) => [1255, row.oid] as const),
  ...pg_cast.map((row) => [2605, row.oid] as const),
  ...pg_operator.map((row) => [2617, row.oid] as const),
  ...pg_am.map((row) => [PG_AM, row.oid] as const),
  ...pg_opfamily.map((row) => [2753, row.oid] as const),
  ...pg_opclass.map((row) => [2616, row.oid] as const),
]
export const pg_description = [
  { objoid: METHODS.hnsw, classoid: PG_AM, description: 'hnsw index access method' },
  { objoid: METHODS.ivfflat, classoid: PG_AM, description: 'ivfflat index access method' },
].map((row) => ({ ...row, objsubid: 0 }))
