/**
 * Branded primitives. A brand exists only for the compiler: at run time a Key is a plain string and a
 * Timestamp a plain number, so branding costs nothing on the hot path.
 */
declare const brand: unique symbol
export type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/**
 * An order-preserving encoded key, one character a byte (a latin1 string): JavaScript's `<` on two Keys is
 * memcmp on their bytes, and a Key can be a Map's key. Made by storage/keys only.
 * Measured: comparing latin1 strings 16 ns, Buffers 80 ns.
 */
export type Key = Brand<string, 'Key'>
/** A hybrid-logical timestamp: milliseconds since 2020-01-01 UTC × 4096 + a counter. Always a safe integer. */
export type Timestamp = Brand<number, 'Timestamp'>
export type TxnId = Brand<number, 'TxnId'>
export type RangeId = Brand<number, 'RangeId'>
export type NodeId = Brand<number, 'NodeId'>
export type LogIndex = Brand<number, 'LogIndex'>
export type Term = Brand<number, 'Term'>
/** A PostgreSQL object id (unsigned 32 bits). */
export type Oid = Brand<number, 'Oid'>

export const key = (bytes: string) => bytes as Key
export const timestamp = (n: number) => n as Timestamp
export const txnId = (n: number) => n as TxnId
export const nodeId = (n: number) => n as NodeId
export const rangeId = (n: number) => n as RangeId
export const logIndex = (n: number) => n as LogIndex
export const term = (n: number) => n as Term
export const oid = (n: number) => n as Oid
