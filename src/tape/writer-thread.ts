import type { Worker } from 'node:worker_threads'
import type { Clock } from '../core/clock.ts'
import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { WriterData, WriterReply, WriterRequest } from './protocol.ts'
import { spawnThread } from './spawn.ts'

export type Ready = Extract<WriterReply, { type: 'ready' }>

/** The writing thread as the receiving one sees it. */
export interface WriterThread {
  readonly ready: Ready
  post(request: WriterRequest, transfer?: ArrayBuffer[]): void
  /** `gone` is called once, after everything that the thread had said was handed to `take`. */
  listen(take: (reply: WriterReply) => void, gone: (trouble: string) => void): void
  end(): Promise<void>
}

const MOST_DEATHS = 3
const DEATHS_WITHIN_MS = 300_000

/** Starts the thread; rejects when it ends before it is ready. */
export async function startWriter(data: WriterData, log: Logger): Promise<WriterThread> {
  const worker = spawnThread('writer-worker', data)
  const ready = await untilReady(worker, log)
  return {
    ready,
    post: (request, transfer = []) => worker.postMessage(request, transfer),
    listen(take, gone) {
      let trouble = 'it ended'
      worker.on('message', take)
      // Its last words come before its exit: what it has synced must not be written a second time.
      worker.on('error', (error) => {
        trouble = describeError(error)
      })
      worker.once('exit', () => gone(trouble))
    },
    async end() {
      await worker.terminate()
    },
  }
}

/** To be called at each death; says whether another thread would only die as well. */
export function createDeathCount(clock: Clock): () => boolean {
  let deaths: number[] = []
  return () => {
    const nowMs = clock.monotonicMs()
    deaths = [...deaths.filter((atMs) => nowMs - atMs < DEATHS_WITHIN_MS), nowMs]
    return deaths.length > MOST_DEATHS
  }
}

function untilReady(worker: Worker, log: Logger): Promise<Ready> {
  return new Promise((resolve, reject) => {
    const take = (reply: WriterReply) => {
      if (reply.type === 'report') log[reply.level](reply.context, reply.message)
      if (reply.type !== 'ready') return
      done()
      resolve(reply)
    }
    const fail = (error: unknown) => {
      done()
      reject(error)
    }
    const ended = () => fail(new Error('its thread ended'))
    const done = () => worker.off('message', take).off('error', fail).off('exit', ended)
    worker.on('message', take).on('error', fail).on('exit', ended)
  })
}
