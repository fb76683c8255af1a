import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPulse } from './pulse.ts'
import { createSilenceWatch } from './silence.ts'

function pulse() {
  const heard = { frames: 0, answers: 0, pongs: 0, pongMs: 0 }
  const silence = createSilenceWatch({ stallTimeoutMs: 60_000, startMs: 0 })
  const created = createPulse({ pingIntervalMs: 4_000, silence, heard, handshakeMs: 20, startMs: 0, ping: () => {} })
  created.start(0)
  return { pulse: created, heard }
}

test('a message is under way as long as the newest PING was, and less once it is faster again', () => {
  const { pulse: own, heard } = pulse()
  assert.equal(own.lagMs, 20)
  for (let nowMs = 1_000; nowMs <= 4_000; nowMs += 1_000) own.beat(nowMs)
  Object.assign(heard, { pongs: 1, pongMs: 4_800 })
  own.beat(5_000)
  assert.equal(own.lagMs, 800)
  for (let nowMs = 6_000; nowMs <= 8_000; nowMs += 1_000) own.beat(nowMs)
  Object.assign(heard, { pongs: 1, pongMs: 8_010 })
  own.beat(9_000)
  assert.equal(own.lagMs, 400, 'it falls by half at most')
})

test('what waited while the process stood still is as old as that, until it has run as long again', () => {
  const { pulse: own } = pulse()
  own.beat(1_000)
  own.beat(21_000)
  assert.equal(own.lagMs, 19_000)
  own.beat(31_000)
  assert.equal(own.lagMs, 28_000, 'held up again: that adds up')
  for (let nowMs = 32_000; nowMs <= 40_000; nowMs += 1_000) own.beat(nowMs)
  assert.equal(own.lagMs, 19_000)
  for (let nowMs = 41_000; nowMs <= 70_000; nowMs += 1_000) own.beat(nowMs)
  assert.equal(own.lagMs, 20)
})
