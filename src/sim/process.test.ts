import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { startVenueProcess } from './process.ts'
import { parseReadyLine } from './ready.ts'
import { allMarkets, connect, firstFrame } from './test-client.ts'

test('the same seed makes the same markets in another process', async (t) => {
  const venues = await Promise.all([1, 1, 2].map((seed) => startVenueProcess({ markets: 5, seed, rate: 0 })))
  t.after(() => Promise.all(venues.map((venue) => venue.stop())))
  const lists = await Promise.all(venues.map(({ urls }) => allMarkets(urls.gamma)))
  const [one, same, other] = lists.map((markets) => markets.map((market) => market.conditionId))
  assert.deepEqual(one, same)
  assert.notDeepEqual(one, other)
})

test('stop ends the process and its connections; a second stop is harmless', async () => {
  const venue = await startVenueProcess({ markets: 1, rate: 0 })
  const client = await connect(venue.urls.ws)
  client.send(firstFrame([]))
  await venue.stop()
  await client.closed
  await venue.stop()
  await assert.rejects(fetch(`${venue.urls.clob}/time`))
})

test('a venue ends when the process that started it is killed', async () => {
  const script = `
    import { startVenueProcess } from ${JSON.stringify(new URL('./process.ts', import.meta.url).href)}
    const { urls } = await startVenueProcess({ markets: 1, rate: 0 })
    console.log(JSON.stringify({ ready: true, urls, control: '' }))
  `
  const stdio = ['ignore', 'pipe', 'inherit'] as const
  const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    stdio: [...stdio],
  })
  const [line] = (await once(parent.stdout, 'data')) as [Buffer]
  const ready = parseReadyLine(line.toString())
  assert.ok(ready)
  const client = await connect(ready.urls.ws)
  client.send(firstFrame([]))
  parent.kill('SIGKILL')
  assert.ok((await client.closed).code > 0)
})
