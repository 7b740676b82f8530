/** What functions may ask while a statement of this session runs. One object a session; its answers follow the session. */
import type { Oid } from '../../storage/keys/brand.ts'
import { tableSpan } from '../../storage/keys/map.ts'
import type { Kv } from '../../storage/kv/kv.ts'
import type { CatalogCallContext } from '../catalog/call-context.ts'
import type { Catalog, RelationRow } from '../catalog/catalog.ts'
import { nameLookup } from '../catalog/lookup.ts'
import { domainCheck } from '../executor/compile.ts'
import type { Notice } from '../types/error.ts'
import type { CallInfo } from '../types/function.ts'
import type { Settings } from '../types/settings.ts'
import type { NameLookup, Type } from '../types/type.ts'
import type { Int64, Value } from '../types/value.ts'
import type { Wait } from './suspend.ts'

/** When the monotonic clock began, in milliseconds since 2000-01-01 UTC. */
const ORIGIN_MS = performance.timeOrigin - Date.UTC(2000, 0, 1)

/** Microseconds since 2000-01-01 UTC, with the sub-millisecond part of the monotonic clock. */
export function clockMicros(): number {
  return Math.round((ORIGIN_MS + performance.now()) * 1000)
}

type SequenceState = ReturnType<CatalogCallContext['sequenceState']>

/** What the context asks of its session. */
export interface ContextHost {
  readonly kv: Kv
  readonly catalog: Catalog
  readonly searchPath: readonly Oid[]
  readonly tempNamespace: Oid
  readonly userOid: Oid
  readonly settings: { readonly live: Settings }
  readonly transactionStart: number
  readonly statementStart: number
  notice(notice: Notice): void
  checkInterrupts(): void
  sequenceLastValue(sequence: Oid): Int64 | null
  readonly sequences: { peek(sequence: RelationRow): SequenceState }
  runFunction(fn: Oid, call: CallInfo, args: readonly Value[]): Iterable<Value>
  /** For functions that have to wait (pg_sleep, pg_advisory_lock): see suspend.ts. */
  suspend(start: () => unknown, wait: Wait): unknown
}

/** The session's own functions find it here. */
export interface SessionCallContext extends CatalogCallContext {
  readonly host: ContextHost
}

/** Kept while the catalog is the same. */
interface DomainChecks {
  readonly catalog: Catalog | undefined
  readonly version: number
  readonly checks: Map<Oid, ReturnType<typeof domainCheck>>
}

export class SessionContext implements SessionCallContext {
  readonly host: ContextHost
  readonly names: NameLookup
  #seed: number | undefined
  #domains: DomainChecks = { catalog: undefined, version: -1, checks: new Map() }

  constructor(host: ContextHost) {
    this.host = host
    this.names = nameLookup(this)
  }

  get settings(): Settings {
    return this.host.settings.live
  }
  get catalog(): Catalog {
    return this.host.catalog
  }
  get searchPath(): readonly Oid[] {
    return this.host.searchPath
  }
  get userOid(): Oid {
    return this.host.userOid
  }
  get tempNamespace(): Oid {
    return this.host.tempNamespace
  }
  get transactionTimestamp(): number {
    return this.host.transactionStart
  }
  get statementTimestamp(): number {
    return this.host.statementStart
  }
  type(type: Oid): Type {
    return this.host.catalog.type(type)
  }
  clockTimestamp(): number {
    return clockMicros()
  }

  /** Deterministic after setseed (xorshift64*-like over 53 bits), the process's randomness before. */
  random(): number {
    if (this.#seed === undefined) return Math.random()
    let s = this.#seed
    s ^= s << 13
    s ^= s >>> 17
    s ^= s << 5
    this.#seed = s >>> 0 || 1
    return this.#seed / 4294967296
  }
  setSeed(seed: number): void {
    this.#seed = (Math.floor((seed + 1) * 1073741823) ^ 0x9e3779b9) >>> 0 || 1
  }

  notice(severity: 'NOTICE' | 'WARNING' | 'INFO', code: string, message: string): void {
    this.host.notice({ severity, code, message, fields: {} })
  }
  checkInterrupts(): void {
    this.host.checkInterrupts()
  }
  runRoutine(fn: Oid, call: CallInfo, args: readonly Value[]): Iterable<Value> {
    return this.host.runFunction(fn, call, args)
  }
  checkDomain(domain: Oid, value: Value): void {
    const { catalog } = this.host
    if (this.#domains.catalog !== catalog || this.#domains.version !== catalog.version)
      this.#domains = { catalog, version: catalog.version, checks: new Map() }
    const { checks } = this.#domains
    if (!checks.has(domain)) checks.set(domain, domainCheck(catalog, this, domain))
    checks.get(domain)?.(value)
  }

  relationBytes(relation: Oid): number {
    const row = this.catalog.relation(relation)
    return row === undefined ? 0 : relationBytes(this.host.kv, this.catalog, row)
  }
  databaseBytes(database: Oid): number {
    if (database !== this.catalog.databaseOid) return 0
    let total = 0
    for (const row of this.catalog.relations())
      if (row.storageId !== 0) total += relationBytes(this.host.kv, this.catalog, row)
    return total
  }
  sequenceLastValue(sequence: Oid): Int64 | null {
    return this.host.sequenceLastValue(sequence)
  }
  sequenceState(sequence: RelationRow): SequenceState {
    return this.host.sequences.peek(sequence)
  }
}

function relationBytes(kv: Kv, catalog: Catalog, row: RelationRow): number {
  if (row.storageId === 0) return 0
  return kv.approximateBytes(tableSpan(catalog.databaseOid, row.storageId))
}
