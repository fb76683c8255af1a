// Preloaded into the daemon by `npm run soak`: what only the process itself can count, written to a file now and then.
import { writeFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

const INTERVAL_MS = 1_000
const file = process.env['SOAK_PROBE_FILE']

function count() {
  const resources = {}
  for (const name of process.getActiveResourcesInfo()) resources[name] = (resources[name] ?? 0) + 1
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  writeFileSync(file, JSON.stringify({ resources, heapUsed, external, arrayBuffers }))
}

if (isMainThread && file !== undefined) setInterval(count, INTERVAL_MS).unref()
