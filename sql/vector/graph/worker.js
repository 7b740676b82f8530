/**
 * A worker of the pool (pool.ts): links slots and goes on with searches, in graphs whose memory it shares. Plain JavaScript,
 * so that Node starts it as it is, whatever runs the rest of the program; all that matters happens in the kernel.
 *
 *     attach { graph, memory, module, context, header, stackTop, imageAt }     detach { graph }
 *     run    { id, graph, image } -> { id, result: image }     a search's image; comes back when its next answer lies in it
 *     link   { id, graph, until } -> { id }                    takes the next slots until none is left; slices, searches go before
 */
import { setPriority } from 'node:os'
import { parentPort, receiveMessageOnPort } from 'node:worker_threads'

/**
 * The thread that serves all sessions goes before these, when there are not cores for all. On Linux a priority is a thread's,
 * and 0 names the calling one; elsewhere it would be the whole process's.
 */
const NICE = 5
if (process.platform === 'linux') setPriority(0, NICE)

/** Slots linked before the messages are looked at: some milliseconds. */
const LINKED_AT_ONCE = 16
const ALL = 0x7fffffff

const graphs = new Map()

const tasks = {
  attach({ graph, memory, module, ...places }) {
    const { exports } = new WebAssembly.Instance(module, { env: { memory } })
    exports.__stack_pointer.value = places.stackTop
    graphs.set(graph, { exports, memory, ...places })
  },
  detach({ graph }) {
    graphs.delete(graph)
  },
  run({ id, graph, image }) {
    const { exports, memory, context, header, imageAt } = graphs.get(graph)
    new Uint8Array(memory.buffer, imageAt, image.byteLength).set(image)
    exports.load(context)
    exports.run(header, context, ALL)
    const result = new Uint8Array(memory.buffer, imageAt, exports.save(context)).slice()
    parentPort.postMessage({ id, result }, [result.buffer])
  },
  link({ id, graph, until }) {
    const { exports, context, header } = graphs.get(graph)
    while (graphs.has(graph) && exports.link_some(header, context, until, LINKED_AT_ONCE) !== 0) {
      for (let next = receiveMessageOnPort(parentPort); next !== undefined; next = receiveMessageOnPort(parentPort))
        accept(next.message)
    }
    parentPort.postMessage({ id })
  },
}

function accept(message) {
  try {
    tasks[message.kind](message)
  } catch (error) {
    parentPort.postMessage({ id: message.id, error })
  }
}

parentPort.on('message', accept)
