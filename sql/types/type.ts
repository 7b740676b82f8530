/**
 * What the server needs to know of a type: its text and binary forms, its order, and how it lies in rows and keys.
 * The rows of pg_type (names, categories, array types) are the catalog's data; here is the behaviour, one object a type.
 * Types are registered by pg_type.oid in `builtinTypes`; array types are made from their element's by `arrayType`,
 * enums and row types by the catalog.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Settings } from './settings.ts'
import type { Value } from './value.ts'

/** Asks for another type while reading or writing a value (arrays, records, regtype). */
export interface TypeLookup {
  type(oid: Oid): Type
}

/** What input and output functions may depend on. */
export interface TypeContext extends TypeLookup {
  readonly settings: Settings
  /** Microseconds since 2000-01-01 UTC at the transaction's start: 'now', 'today' in date input. */
  readonly transactionTimestamp: number
  /** Throws 23502 or 23514 when a value (or NULL) read for this domain breaks its rules; absent where no domains are read. */
  checkDomain?(domain: Oid, value: Value): void
  /** Resolves the names and numbers of reg* types; undefined where no catalog is at hand. */
  readonly names?: NameLookup
}

/** Names of catalog objects for reg* input and output. `find…` throws PostgreSQL's error when there is none (42P01, 42883, 42704 …). */
export interface NameLookup {
  findRelation(text: string): Oid
  findType(text: string): { readonly oid: Oid; readonly typmod: number }
  findFunction(text: string, withArguments: boolean): Oid
  findOperator(text: string, withArguments: boolean): Oid
  findNamespace(text: string): Oid
  findRole(text: string): Oid
  findCollation(text: string): Oid
  findConfig(text: string): Oid
  findDictionary(text: string): Oid
  relationName(oid: Oid): string | undefined
  typeName(oid: Oid, typmod?: number): string | undefined
  functionName(oid: Oid, withArguments: boolean): string | undefined
  operatorName(oid: Oid, withArguments: boolean): string | undefined
  namespaceName(oid: Oid): string | undefined
  roleName(oid: Oid): string | undefined
  collationName(oid: Oid): string | undefined
  configName(oid: Oid): string | undefined
  dictionaryName(oid: Oid): string | undefined
}

/** Appends big-endian numbers and bytes to a growing buffer. Implemented once, in sql/types/bytes.ts. */
export interface ByteWriter {
  readonly buffer: Buffer
  readonly length: number
  uint8(n: number): void
  int16(n: number): void
  int32(n: number): void
  uint32(n: number): void
  int64(n: number | bigint): void
  float32(n: number): void
  float64(n: number): void
  bytes(b: Uint8Array): void
  /** The string's UTF-8 bytes, no terminator. */
  text(s: string): void
  /** Reserves n bytes and returns their offset (for lengths that are known later). */
  reserve(n: number): number
}

/** How a value lies in a stored row: in a fixed slot of so many bytes, or as bytes of its own. */
export type RowStorage =
  | { readonly kind: 'bool' | 'int16' | 'int32' | 'uint32' | 'int64' | 'float32' | 'float64' }
  /** int32 days or int64 microseconds in which the extreme values stand for ±Infinity. */
  | { readonly kind: 'date' | 'timestamp' }
  /** Variable: UTF-8 text as it is. */
  | { readonly kind: 'text' }
  | {
      readonly kind: 'bytes'
      write(value: Value, to: ByteWriter): void
      /** The value in `from[start, end)`; must not keep a reference to `from`. */
      read(from: Buffer, start: number, end: number): Value
    }

export interface Type {
  readonly oid: Oid
  /** pg_type.typname: int4, text, _int4. */
  readonly name: string
  /** pg_type.oid of the element for true arrays, else 0. */
  readonly elementOid: Oid
  readonly delimiter: string
  /** Text in: throws 22P02, 22007, 22003 … with PostgreSQL's message. `typmod` is -1 when none; length coercion is not done here except where PostgreSQL's input function does it. */
  input(text: string, typmod: number, context: TypeContext): Value
  output(value: Value, context: TypeContext): string
  /** Binary in, `from[start, end)`: throws 22P03. */
  receive(from: Buffer, start: number, end: number, typmod: number, context: TypeContext): Value
  send(value: Value, to: ByteWriter, context: TypeContext): void
  /** Default b-tree order; negative, 0, positive. Absent when the type has no order (json, point). NULLs never come here. */
  readonly compare?: (a: Value, b: Value) => number
  /**
   * A primitive that is equal (as a Map's key) exactly when the values are equal in SQL: for hashing, grouping, DISTINCT.
   * Absent when the type has no equality. Identity for numbers and strings ( -0 and 0, NaN handled by Map itself).
   */
  readonly hashKey?: (value: Value) => string | number | bigint | boolean
  /** Domains: throws when NULL is not one of its values. Whoever reads NULLs beside values asks this for them; input and receive ask for their own. */
  readonly checkNull?: (context: TypeContext) => void
  readonly storage: RowStorage
  /** Appends an order-preserving, self-delimiting encoding (ascending) with the ordered encoder of storage/keys/encode.ts. Absent when the type has no order. */
  readonly encodeKey?: (value: Value, to: KeyEncoder) => void
  /** The value whose encoding comes next; present only where encodings tell equal values apart as their text does. */
  readonly decodeKey?: (from: KeyDecoder) => Value
  /** '(10,2)' from its arguments as text to a typmod, and back. Absent when the type takes none. */
  readonly typmodIn?: (args: readonly string[]) => number
  readonly typmodOut?: (typmod: number) => string
}

/** The ordered encoder (storage/keys/encode.ts implements it): every method appends a self-delimiting, order-preserving form. */
export interface KeyEncoder {
  boolean(b: boolean): void
  int16(n: number): void
  int32(n: number): void
  uint32(n: number): void
  int64(n: number | bigint): void
  float64(n: number): void
  /** Text by UTF-8 bytes, escaped and terminated. */
  text(s: string): void
  bytes(b: Uint8Array): void
  /** An arbitrary-precision decimal: digits × 10^-scale; equal values of different scale encode alike. NaN sorts last. */
  decimal(digits: bigint, scale: number, special: 'NaN' | 'Infinity' | '-Infinity' | undefined): void
  /** Raw bytes without escape or terminator: only for fixed-length values such as a uuid. */
  raw(b: Uint8Array): void
  /** One byte, for tags and terminators of nested values. */
  byte(n: number): void
}

/** What the ordered encoder wrote, ascending (storage/keys/decode.ts implements it): each method reads one value. */
export interface KeyDecoder {
  int16(): number
  int32(): number
  int64(): number | bigint
  text(): string
  /** Of so many bytes, one character each. */
  raw(length: number): string
}
