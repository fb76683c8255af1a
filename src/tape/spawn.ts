import { Worker } from 'node:worker_threads'

/** These threads move bytes in a few buffers; a heap of the usual size for what is young would be tens of MB each. */
const LIMITS = { maxYoungGenerationSizeMb: 4 }

/**
 * Starts a thread from a file beside this one, named without its ending. From sources the thread needs the loader
 * that this process was started with, which Node 20 does not hand on to threads.
 */
export function spawnThread(name: 'writer-worker' | 'compress-worker', workerData: unknown): Worker {
  if (!import.meta.url.endsWith('.ts')) {
    return new Worker(new URL(`./${name}.js`, import.meta.url), { workerData, resourceLimits: LIMITS })
  }
  const file = new URL(`./${name}.ts`, import.meta.url).href
  const loader = import.meta.resolve('tsx/esm/api')
  const load = `{ tsx.register(); return import(${JSON.stringify(file)}) }`
  const script = `import(${JSON.stringify(loader)}).then((tsx) => ${load})`
  return new Worker(script, { eval: true, workerData, execArgv: [], resourceLimits: LIMITS })
}
