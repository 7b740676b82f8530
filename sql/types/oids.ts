/** Oids of pg_type (and two of pg_namespace, pg_collation) that the server's own code names. */
import { type Oid, oid } from '../../storage/keys/brand.ts'

const oids = {
  bool: 16, bytea: 17, char: 18, name: 19, int8: 20, int2: 21, int2vector: 22, int4: 23, regproc: 24, text: 25, oid: 26,
  tid: 27, xid: 28, cid: 29, oidvector: 30, json: 114, float4: 700, float8: 701, unknown: 705, bpchar: 1042,
  varchar: 1043, date: 1082, time: 1083, timestamp: 1114, timestamptz: 1184, interval: 1186, timetz: 1266, bit: 1560,
  varbit: 1562, numeric: 1700, refcursor: 1790, regclass: 2205, regtype: 2206, record: 2249, cstring: 2275, any: 2276,
  anyarray: 2277, void: 2278, trigger: 2279, internal: 2281, anyelement: 2283, recordArray: 2287, anynonarray: 2776,
  uuid: 2950, anyenum: 3500, anyrange: 3831, jsonb: 3802, jsonpath: 4072, anymultirange: 4537,
  anycompatible: 5077, anycompatiblearray: 5078, anycompatiblenonarray: 5079, anycompatiblerange: 5080,
  anycompatiblemultirange: 4538, boolArray: 1000, int4Array: 1007, textArray: 1009, vector: 16001,
} as const // prettier-ignore

export const OID = oids as unknown as { readonly [K in keyof typeof oids]: Oid }
export const NO_OID = oid(0)
export const PG_CATALOG = oid(11)
export const PG_TOAST = oid(99)
export const PUBLIC = oid(2200)
export const DEFAULT_COLLATION = oid(100)
export const C_COLLATION = oid(950)
