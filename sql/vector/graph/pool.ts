/**
 * The threads that work on graphs. They start when the first graph asks for one, share the memory of every graph they are
 * told of, and keep no process alive while they have nothing to do.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { invariant } from '../../../storage/keys/invariant.ts'

/** What a worker is told of a graph; the places are addresses in its memory. */
export interface Attachment {
  readonly memory: WebAssembly.Memory
  readonly module: WebAssembly.Module
  readonly header: number
  readonly contexts: readonly { readonly context: number; readonly stackTop: number; readonly imageAt: number }[]
}

interface Answer {
  readonly id: number
  readonly result?: Uint8Array<ArrayBuffer>
  readonly error?: unknown
}

interface Thread {
  readonly worker: Worker
  readonly waiting: Map<number, { resolve: (result: Answer['result']) => void; reject: (error: unknown) => void }>
}

export class GraphPool {
  /** Threads there are at most; a graph has a context for each. */
  readonly size: number
  /** By the number of its context; undefined: ended, or not started yet. */
  readonly #threads: (Thread | undefined)[] = []
  readonly #attached = new Map<number, Attachment>()
  #graphs = 0
  #tasks = 0
  #closed = false

  constructor(size = Math.min(4, Math.max(1, availableParallelism()))) {
    this.size = size
  }

  /** A number that names the graph from now on. */
  attach(attachment: Attachment): number {
    invariant(!this.#closed && attachment.contexts.length === this.size, 'a context for every thread')
    const graph = ++this.#graphs
    this.#attached.set(graph, attachment)
    this.#threads.forEach((thread, i) => {
      if (thread !== undefined) this.#tell(thread.worker, i, graph, attachment)
    })
    return graph
  }

  detach(graph: number): void {
    this.#attached.delete(graph)
    for (const thread of this.#threads) thread?.worker.postMessage({ kind: 'detach', graph })
  }

  /** Goes on with a search in the thread that has the least to do. */
  async run(graph: number, image: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    const thread = this.#start().reduce((a, b) => (b.waiting.size < a.waiting.size ? b : a))
    const result = await this.#ask(thread, { kind: 'run', graph, image }, [image.buffer])
    invariant(result !== undefined, 'a search came back without its image')
    return result
  }

  /** All threads link the graph's next slots, up to `until`. */
  async link(graph: number, until: number, threads = this.size): Promise<void> {
    const linking = this.#start().slice(0, threads)
    await Promise.all(linking.map((thread) => this.#ask(thread, { kind: 'link', graph, until })))
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#threads.splice(0).map(async (thread) => await thread?.worker.terminate()))
  }

  /** All threads; those that are not there are started. */
  #start(): Thread[] {
    invariant(!this.#closed, 'the pool is closed')
    return Array.from({ length: this.size }, (_, place) => (this.#threads[place] ??= this.#thread(place)))
  }

  #thread(place: number): Thread {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { execArgv: [] })
    const waiting: Thread['waiting'] = new Map()
    const thread: Thread = { worker, waiting }
    worker.on('message', ({ id, result, error }: Answer) => {
      const task = waiting.get(id)
      waiting.delete(id)
      if (waiting.size === 0) worker.unref()
      if (error !== undefined) task?.reject(error)
      else task?.resolve(result)
    })
    const fail = (error: Error): void => {
      if (this.#threads[place] === thread) this.#threads[place] = undefined
      for (const { reject } of waiting.values()) reject(error)
      waiting.clear()
    }
    worker.on('error', fail)
    worker.on('exit', () => {
      fail(new Error('a thread of the vector indexes ended'))
    })
    worker.unref()
    for (const [graph, attachment] of this.#attached) this.#tell(worker, place, graph, attachment)
    return thread
  }

  #tell(worker: Worker, place: number, graph: number, { contexts, ...attachment }: Attachment): void {
    worker.postMessage({ kind: 'attach', graph, ...attachment, ...contexts[place] })
  }

  #ask(
    { worker, waiting }: Thread,
    message: { kind: string; graph: number; until?: number; image?: Uint8Array },
    transfer: ArrayBuffer[] = [],
  ): Promise<Answer['result']> {
    const id = ++this.#tasks
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject })
      worker.ref()
      worker.postMessage({ id, ...message }, transfer)
    })
  }
}
