/**
 * The statistics that PostgreSQL's pg_stat views read. What is counted here: live rows and the last ANALYZE. Everything
 * else that PostgreSQL counts (scans, blocks, checkpoints) is not: 0, or NULL where it is a time.
 */
import { oid } from '../../../storage/keys/brand.ts'
import { type FunctionBody, type FunctionTable, scalar } from '../../types/function.ts'
import { Numeric, type Value } from '../../types/value.ts'
import { ofSession, rowOfSession, rowsOfSession } from './session-function.ts'

const named = (body: FunctionBody, prefix: string, names: string): Record<string, FunctionBody> =>
  Object.fromEntries(names.split(' ').map((name) => [prefix + name, body]))
const zero = scalar(() => 0)
const never = scalar(() => null)
const done = scalar(() => '')

const DATABASE_COUNTS =
  'active_time blk_read_time blk_write_time blocks_fetched blocks_hit checksum_failures conflict_all conflict_bufferpin conflict_lock conflict_snapshot conflict_startup_deadlock conflict_tablespace deadlocks idle_in_transaction_time session_time sessions sessions_abandoned sessions_fatal sessions_killed temp_bytes temp_files tuples_deleted tuples_fetched tuples_inserted tuples_returned tuples_updated xact_commit xact_rollback'
const TABLE_COUNTS =
  'analyze_count autoanalyze_count autovacuum_count blocks_fetched blocks_hit dead_tuples ins_since_vacuum mod_since_analyze numscans tuples_deleted tuples_fetched tuples_hot_updated tuples_inserted tuples_returned tuples_updated vacuum_count'
const TRANSACTION_COUNTS =
  'blocks_fetched blocks_hit numscans tuples_deleted tuples_fetched tuples_hot_updated tuples_inserted tuples_returned tuples_updated'
const WRITER_COUNTS =
  'buf_written_checkpoints buf_written_clean maxwritten_clean requested_checkpoints timed_checkpoints'

const none = (count: number): Value[] => new Array<Value>(count).fill(null)

export const STATISTICS_FUNCTIONS: FunctionTable = {
  ...named(zero, 'pg_stat_get_db_', DATABASE_COUNTS),
  ...named(never, 'pg_stat_get_db_', 'checksum_last_failure stat_reset_time'),
  ...named(zero, 'pg_stat_get_', TABLE_COUNTS),
  ...named(never, 'pg_stat_get_', 'last_autoanalyze_time last_autovacuum_time last_vacuum_time snapshot_timestamp'),
  ...named(zero, 'pg_stat_get_xact_', TRANSACTION_COUNTS),
  ...named(zero, 'pg_stat_get_bgwriter_', WRITER_COUNTS),
  ...named(never, 'pg_stat_get_bgwriter_', 'stat_reset_time'),
  ...named(
    zero,
    'pg_stat_get_',
    'buf_alloc buf_fsync_backend buf_written_backend checkpoint_sync_time checkpoint_write_time',
  ),
  ...named(
    never,
    'pg_stat_get_',
    'function_calls function_self_time function_total_time xact_function_calls xact_function_self_time xact_function_total_time',
  ),
  pg_stat_get_live_tuples: ofSession((session, relation: number) =>
    session.catalog.relation(oid(relation))?.storageId ? session.sizes.rows(oid(relation)) : 0,
  ),
  pg_stat_get_last_analyze_time: ofSession(
    (session, relation: number) => session.catalog.statistics(oid(relation))?.analyzedAt ?? null,
  ),
  pg_stat_have_stats: scalar(() => false),
  ...rowOfSession('pg_stat_get_archiver', () => [0, null, null, 0, null, null, null]),
  ...rowOfSession('pg_stat_get_wal', () => [0, 0, new Numeric(0n, 0), 0, 0, 0, 0, 0, null]),
  ...rowOfSession('pg_stat_get_wal_receiver', () => none(15)),
  ...rowsOfSession('pg_stat_get_wal_senders', () => []),
  ...rowsOfSession('pg_stat_get_slru', () => []),
  ...rowsOfSession('pg_stat_get_recovery_prefetch', () => []),
  ...rowOfSession('pg_stat_get_subscription_stats', (_, subscription: number) => [subscription, 0, 0, null]),
  ...rowOfSession('pg_stat_get_replication_slot', (_, slot: string) => [slot, 0, 0, 0, 0, 0, 0, 0, 0, null]),
  ...named(
    done,
    'pg_stat_',
    'clear_snapshot force_next_flush reset reset_shared reset_single_function_counters reset_single_table_counters reset_slru reset_replication_slot reset_subscription_stats',
  ),
  ...rowsOfSession('pg_get_shmem_allocations', () => []),
  ...rowsOfSession('pg_hba_file_rules', () => []),
  ...rowsOfSession('pg_ident_file_mappings', () => []),
}
