import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NOW_MS } from '../../../test/support/board.ts'
import type { Incident, Notice } from './machine.ts'
import { EMPTY_OUTBOX, LETTERS_MAX, Outbox } from './outbox.ts'

const incident = (id: string): Incident => ({
  id,
  key: 'ledger',
  title: 'The database is away',
  detail: '',
  affects: [],
  sinceMs: NOW_MS,
  openedMs: NOW_MS,
  closedMs: null,
  toldMs: NOW_MS,
  flapping: false,
  note: null,
})
const notice = (kind: Notice['kind'], id = 'one'): Notice => ({ kind, incident: incident(id) })
const waiting = (outbox: Outbox) => outbox.snapshot().letters.map((letter) => [letter.channel, letter.notice.kind])

test('that it is over is told only where it was told, or will be, that it began', () => {
  const outbox = new Outbox(EMPTY_OUTBOX)
  assert.equal(outbox.add('slack', notice('recovered'), NOW_MS), false, 'nobody knows of it')
  assert.equal(outbox.add('slack', notice('down'), NOW_MS), true)
  assert.equal(outbox.add('slack', notice('still_down'), NOW_MS), false, 'they have not heard of its beginning yet')
  assert.equal(outbox.add('email', notice('recovered'), NOW_MS), false, 'another channel does not know')
  const down = outbox.next('slack', NOW_MS)
  assert.ok(down)
  outbox.delivered(down)
  assert.equal(outbox.add('slack', notice('still_down'), NOW_MS), true)
  assert.equal(outbox.add('slack', notice('recovered'), NOW_MS), true)
  // As after a restart.
  const again = new Outbox(JSON.parse(JSON.stringify(outbox.snapshot())))
  assert.deepEqual(waiting(again), [
    ['slack', 'still_down'],
    ['slack', 'recovered'],
  ])
})

test('what does not fit is dropped, oldest first, with all that belongs to it, and counted', () => {
  const outbox = new Outbox(EMPTY_OUTBOX)
  outbox.add('slack', notice('down', 'first'), NOW_MS)
  outbox.add('slack', notice('recovered', 'first'), NOW_MS)
  for (let n = 2; n < LETTERS_MAX; n += 1) outbox.add('slack', notice('down', `incident ${n}`), NOW_MS)
  assert.equal(waiting(outbox).length, LETTERS_MAX)
  outbox.add('slack', notice('down', 'last'), NOW_MS)
  const { letters, counts } = outbox.snapshot()
  assert.deepEqual([letters.length, counts['slack']?.dropped], [LETTERS_MAX - 1, 2])
  assert.equal(outbox.add('slack', notice('recovered', 'first'), NOW_MS), false)
})

test('what goes with another one is counted once, and nothing is told of what was just dropped', () => {
  const outbox = new Outbox(EMPTY_OUTBOX)
  outbox.add('slack', notice('down'), NOW_MS)
  outbox.add('slack', notice('recovered'), NOW_MS)
  outbox.keepOnly([])
  assert.equal(outbox.snapshot().counts['slack']?.dropped, 2)
  for (let n = 0; n < LETTERS_MAX; n += 1) outbox.add('slack', notice('down', `incident ${n}`), NOW_MS)
  assert.equal(outbox.add('slack', notice('recovered', 'incident 0'), NOW_MS), false)
  assert.equal(outbox.snapshot().letters.length, LETTERS_MAX, 'nothing makes room for what is not told')
})
