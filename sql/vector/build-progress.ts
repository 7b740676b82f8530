/** How far the building of an index is, and when it was last built: what alopex_vector_indexes and pg_stat_progress_create_index show. */
export class BuildProgress {
  /** In words; empty while nothing is built. */
  phase = ''
  blocksDone = 0
  blocksTotal = 0
  /** Milliseconds since the epoch of the last finished build, and how long it took. */
  builtAt: number | undefined
  buildMs: number | undefined

  linking(slots: number): void {
    this.phase = 'building index'
    this.blocksDone = 0
    this.blocksTotal = slots
  }

  built(since: number): void {
    this.phase = ''
    this.buildMs = performance.now() - since
    this.builtAt = Date.now()
  }
}
