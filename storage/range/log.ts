/**
 * The seam between one node and many.
 *
 * A range turns a transaction's commit into a Batch and gives it to its log. The log puts it in order, makes it as
 * durable as the topology promises, and applies it through the range's machine. A range cannot tell which log it has:
 *
 *   embedded, single   log of one   storage/range/local-log.ts    durable once written here
 *   primary/replica    Raft group   replication/                  durable as the acknowledgement policy says
 *   distributed        Raft group   replication/                  durable on a majority
 *
 * Entries are puts and deletes that are already worked out, so replicas agree byte for byte and nothing above this
 * line has to be deterministic.
 */
import type { Batch, Entries, Page } from '../engine/engine.ts'
import type { LogIndex, NodeId, RangeId, Term, Timestamp } from '../keys/brand.ts'

export interface RangeLog {
  role(): LogRole
  /** `done` is called once `batch` is durable, in order and applied here; with KvError not-leader or commit-unknown when not. The batch's bytes are taken before the call returns. */
  append(batch: Batch, done: (error: Error | undefined, index: LogIndex) => void): void
  /**
   * A large commit as sorted rows instead of a batch, in order with `append` as its callback goes. Only a log whose entries
   * need not be shipped has it; without it a large commit is one large batch. A row without a value is a deletion mark.
   */
  ingest?(
    rows: Iterable<Page | Entries>,
    at: Timestamp,
    done: (error: Error | undefined, index: LogIndex) => void,
  ): void
  /** After this, a read here sees every write that was acknowledged before the call. undefined: it already does (the log of one). */
  readBarrier(): Promise<void> | undefined
  changeReplicas(change: { readonly add?: NodeId; readonly remove?: NodeId }): Promise<void>
  close(): Promise<void>
}

export type LogRole =
  | { readonly kind: 'leader'; readonly term: Term }
  | { readonly kind: 'follower'; readonly leader: NodeId | undefined }

/** What a log calls back: the range's own keys in the engine. */
export interface RangeMachine {
  appliedIndex(): LogIndex
  /** Writes the batches and the new applied index as one engine batch. */
  apply(upTo: LogIndex, batches: readonly Batch[], done: (error: Error | undefined) => void): void
  snapshot(): AsyncIterable<Uint8Array>
  restore(upTo: LogIndex, chunks: AsyncIterable<Uint8Array>): Promise<void>
}

/** A topology is this one function. */
export type OpenLog = (range: RangeId, replicas: readonly NodeId[], machine: RangeMachine) => Promise<RangeLog>
