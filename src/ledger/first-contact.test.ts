import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PermanentError } from '../core/errors.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { connectFirst } from './first-contact.ts'

const REFUSED = new PermanentError('the database refuses the login')

/** A clock whose only sleep ends when the test says so. */
function heldClock() {
  const slept: number[] = []
  let wake = () => {}
  const sleep = (delayMs: number) => {
    slept.push(delayMs)
    return new Promise<void>((resolve) => {
      wake = resolve
    })
  }
  return { clock: { ...systemClock(), sleep }, slept, wake: () => wake() }
}

test('a refusal ends the wait', async () => {
  const ledger = { connect: () => Promise.reject(REFUSED) }
  await assert.rejects(
    connectFirst(ledger, heldClock().clock, () => {}),
    REFUSED,
  )
})

test('a server that does not answer is waited for 3 s, and its later refusal is told', async () => {
  const { clock, slept, wake } = heldClock()
  const late: unknown[] = []
  let refuse = () => {}
  const connecting = new Promise<void>((_, reject) => {
    refuse = () => reject(REFUSED)
  })
  const waiting = connectFirst({ connect: () => connecting }, clock, (error) => late.push(error))
  assert.deepEqual(slept, [3_000])
  wake()
  await waiting
  refuse()
  await connecting.catch(() => {})
  assert.deepEqual(late, [REFUSED])
})

test('contact ends the wait at once', async () => {
  await connectFirst({ connect: () => Promise.resolve() }, heldClock().clock, () => assert.fail('nothing was refused'))
})
