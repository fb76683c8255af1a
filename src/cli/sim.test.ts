import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { Command } from 'commander'
import { parseReadyLine } from '../sim/ready.ts'
import { addSimFlags, runSim, type SimFlags, simOptions } from './sim.ts'

function parse(...flags: string[]): SimFlags {
  const command = addSimFlags(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
  return command.parse(flags, { from: 'user' }).opts<SimFlags>()
}

test('flags become options, seconds become milliseconds', () => {
  const { signal } = new AbortController()
  const flags = parse(
    '--markets',
    '7',
    '--v2-share',
    '0.5',
    '--new-market-every',
    '1.5',
    '--batch',
    '9',
    '--speed',
    '0',
  )
  const options = simOptions(parse('--play-gamma', 'a', '--play-gamma', 'b'), signal)
  assert.deepEqual(options.playGamma, ['a', 'b'])
  const { markets, v2Share, newMarketEveryMs, batchMax, playSpeed, rate } = simOptions(flags, signal)
  assert.deepEqual(
    { markets, v2Share, newMarketEveryMs, batchMax, playSpeed, rate },
    {
      markets: 7,
      v2Share: 0.5,
      newMarketEveryMs: 1_500,
      batchMax: 9,
      playSpeed: 0,
      rate: undefined,
    },
  )
})

test('what is no number is refused, and what is out of range', async () => {
  assert.throws(() => parse('--rate', 'fast'), /must be a number/)
  await assert.rejects(runSim({ rate: -1, signal: AbortSignal.abort() }), { exitCode: 64 })
})

const SCRIPT = `
  import { runSim } from ${JSON.stringify(new URL('./sim.ts', import.meta.url).href)}
  const stop = new AbortController()
  const flag = (name) => process.argv.includes(name)
  process.once('SIGTERM', () => stop.abort())
  process.exitCode = await runSim({ markets: 1, json: flag('json'), proxy: flag('proxy'), signal: stop.signal })
`

for (const [form, expected] of [
  ['json', /^\{"ready":true,"urls":\{"gamma":"http:/],
  ['human', /export TAPEKEEPER_POLYMARKET_GAMMA_URL=http:\/\/127\.0\.0\.1:\d+\/gamma/],
] as const) {
  test(`says that it is ready (${form}) and ends well on a signal`, async () => {
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', SCRIPT, form])
    const [chunk] = (await once(child.stdout, 'data')) as [Buffer]
    let text = chunk.toString()
    child.stdout.on('data', (more: Buffer) => {
      text += more.toString()
      if (form === 'human' && text.includes('Ctrl-C')) child.kill('SIGTERM')
    })
    if (form === 'json' || text.includes('Ctrl-C')) child.kill('SIGTERM')
    const [code] = (await once(child, 'close')) as [number]
    assert.equal(code, 0)
    assert.match(text, expected)
    assert.equal(parseReadyLine(text) !== null, form === 'json')
  })
}

test('with a proxy the addresses lead through it', async () => {
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', SCRIPT, 'json', 'proxy'])
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer]
  const ready = parseReadyLine(chunk.toString())
  assert.ok(ready?.proxy)
  assert.equal((await fetch(`${ready.urls.clob}/time`)).status, 200)
  const refuse = await fetch(ready.proxy, { method: 'POST', body: '{"refuse":true,"reset":{}}' })
  assert.equal(refuse.status, 200)
  await assert.rejects(fetch(`${ready.urls.clob}/time`))
  child.kill('SIGTERM')
  const [code] = (await once(child, 'close')) as [number]
  assert.equal(code, 0)
})
