#!/usr/bin/env node
// The command. Runs dist/, which a checkout builds first when it is missing or out of date. Everything happens in this
// one process, so that a signal reaches the daemon.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const MAIN = new URL('../dist/cli/main.js', import.meta.url)

function nodeIsTooOld(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < 20 || (major === 20 && minor < 19)
}

async function start() {
  if (nodeIsTooOld(process.versions.node)) {
    console.error(`tapekeeper: needs Node.js 20.19 or newer, this is ${process.versions.node} (${process.execPath})`)
    process.exitCode = 78
    return
  }
  try {
    const { buildIfStale } = await import('./build.js')
    buildIfStale()
    if (!existsSync(MAIN)) throw new Error(`the program is incomplete: ${fileURLToPath(MAIN)} is missing`)
  } catch (error) {
    console.error(`tapekeeper: ${error.message}`)
    process.exitCode = 70
    return
  }
  const { main } = await import(MAIN.href)
  await main(process.argv.slice(2))
}

await start()
