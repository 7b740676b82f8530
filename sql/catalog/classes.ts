/** Oids of the system catalogs: how comments, dependencies and stored descriptors name the class of an object. */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import type { DescriptorKind } from './catalog.ts'

export const CLASS = {
  type: oid(1247),
  attribute: oid(1249),
  function: oid(1255),
  relation: oid(1259),
  role: oid(1260),
  database: oid(1262),
  tablespace: oid(1213),
  namespace: oid(2615),
  constraint: oid(2606),
  cast: oid(2605),
  comment: oid(2609),
  operator: oid(2617),
  opclass: oid(2616),
  opfamily: oid(2753),
  familyOperator: oid(2602),
  familyFunction: oid(2603),
  language: oid(2612),
  extension: oid(3079),
  collation: oid(3456),
  attrdef: oid(2604),
  rewrite: oid(2618),
  trigger: oid(2620),
  accessMethod: oid(2601),
  conversion: oid(2607),
  statistics: oid(2619),
  defaultAcl: oid(826),
  tsConfig: oid(3602),
  tsDict: oid(3600),
  tsParser: oid(3601),
  tsTemplate: oid(3764),
} as const // prettier-ignore

export const CLASS_OF: Readonly<Record<DescriptorKind, Oid>> = {
  namespace: CLASS.namespace,
  relation: CLASS.relation,
  type: CLASS.type,
  function: CLASS.function,
  role: CLASS.role,
  database: CLASS.database,
  comment: CLASS.comment,
  extension: CLASS.extension,
  statistics: CLASS.statistics,
  cast: CLASS.cast,
  operator: CLASS.operator,
  collation: CLASS.collation,
  'default-acl': CLASS.defaultAcl,
}
export const KIND_OF: ReadonlyMap<Oid, DescriptorKind> = new Map(
  Object.entries(CLASS_OF).map(([kind, classOid]) => [classOid, kind as DescriptorKind]),
)

/** Roles and databases belong to the cluster, and so do comments on them. */
export const isShared = (kind: DescriptorKind): boolean => kind === 'role' || kind === 'database'
export const isSharedClass = (classOid: Oid): boolean =>
  classOid === CLASS.role || classOid === CLASS.database || classOid === CLASS.tablespace
