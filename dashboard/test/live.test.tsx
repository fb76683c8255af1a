import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { RequestError } from '../src/data/request.ts'
import { POLL_MS, Resource } from '../src/data/resource.ts'
import { Stage, TestClock } from './support.tsx'

const WAIT_MS_MAX = 15_000

/** What happens to one request: it is answered, refused, or hangs; after so long. */
const fate = fc.record({ kind: fc.constantFrom('good', 'bad', 'hangs'), afterMs: fc.integer({ min: 0, max: 30_000 }) })
const nudges = fc.array(fc.integer({ min: 0, max: 60_000 }), { maxLength: 40 })

describe('a resource', () => {
  test('is asked for at least every 15 s and never twice at once, whatever becomes of the requests', async () => {
    const property = fc.asyncProperty(fc.array(fate, { minLength: 1, maxLength: 20 }), nudges, async (fates, times) => {
      const clock = new TestClock()
      const startMs = clock.nowMs()
      const begun: number[] = []
      const ask = () => {
        const { kind, afterMs } = fates[begun.length % fates.length] ?? { kind: 'good', afterMs: 0 }
        begun.push(clock.nowMs() - startMs)
        return new Promise<never>((resolve, reject) => {
          if (kind === 'hangs') return
          const end = () => (kind === 'good' ? resolve({} as never) : reject(new RequestError(500, 'bad')))
          clock.after(afterMs, end)
        })
      }
      const resource = new Resource('api/x', ask, clock)
      resource.start()
      for (const atMs of times.toSorted((a, b) => a - b)) {
        await clock.advance(Math.max(0, startMs + atMs - clock.nowMs()))
        resource.nudge()
      }
      await clock.advance(startMs + 120_000 - clock.nowMs())
      resource.stop()
      begun.push(120_000)
      for (const [at, ms] of begun.slice(1).entries()) {
        const waitedMs = ms - (begun[at] ?? 0)
        assert.ok(waitedMs <= WAIT_MS_MAX, `waited ${waitedMs} ms`)
        if (at < begun.length - 2) assert.ok(waitedMs >= 1_000, `asked again after ${waitedMs} ms`)
      }
    })
    await fc.assert(property, { numRuns: 100 })
  })

  test('is asked at once when something has changed, and once for many changes', async () => {
    const clock = new TestClock()
    let asked = 0
    const ask = () => {
      asked += 1
      return Promise.resolve(`answer ${asked}` as never)
    }
    const resource = new Resource('api/x', ask, clock)
    resource.start()
    await clock.advance(3_000)
    resource.nudge()
    await clock.advance(0)
    assert.equal(asked, 2)
    for (let time = 0; time < 50; time += 1) resource.nudge()
    await clock.advance(1_000)
    assert.equal(asked, 3)
    assert.equal(resource.snapshot.data, 'answer 3')
    resource.stop()
    assert.equal(clock.waiting, 0)
    await clock.advance(60_000)
    assert.equal(asked, 3)
  })

  test('counts what it missed, and keeps what it knew', async () => {
    const clock = new TestClock()
    let fails = false
    const ask = () => (fails ? Promise.reject(new RequestError(0, 'away')) : Promise.resolve('known' as never))
    const resource = new Resource('api/x', ask, clock)
    resource.start()
    await clock.advance(0)
    fails = true
    await clock.advance(2 * POLL_MS)
    const { data, missed, problem } = resource.snapshot
    assert.deepEqual([data, missed, problem?.message], ['known', 2, 'away'])
    resource.stop()
  })
})

describe('the whole page', () => {
  const answers = { 'api/x': { x: 1 } }

  test('a pause and a hidden tab ask for nothing and listen to nothing; going on asks at once', async () => {
    for (const change of [{ paused: true }, { hidden: true }]) {
      const { live, clock, asked, ...stage } = new Stage(answers)
      live.acquire('api/x', ['price'])
      await clock.advance(100)
      assert.equal(asked.length, 1)
      live.set(change)
      await clock.advance(300_000)
      assert.equal(asked.length, 1)
      assert.equal(clock.waiting, 0)
      live.set({ paused: false, hidden: false })
      await clock.advance(0)
      assert.equal(asked.length, 2)
      live.release('api/x')
      await clock.advance(300_000)
      assert.equal(asked.length, 2)
      stage.place.remove()
    }
  })

  test('an event refreshes what it is about, and what was dropped refreshes all', async () => {
    const page = new Stage({ ...answers, 'api/y': {} })
    page.live.acquire('api/x', ['price'])
    page.live.acquire('api/y', ['log'])
    await page.clock.advance(2_000)
    assert.ok(page.listening)
    const paths = () => page.asked.splice(0).map(({ path }) => path)
    paths()
    await page.tell('price')
    assert.deepEqual(paths(), ['api/x'])
    await page.clock.advance(1_500)
    await page.tell('dropped', { count: 3 })
    assert.deepEqual(paths().sort(), ['api/x', 'api/y'])
    page.live.set({ paused: true })
    assert.ok(!page.listening)
  })

  test('an answer that asks for a token signs the page out', async () => {
    const page = new Stage(answers)
    page.failure = new RequestError(401, 'a token is needed')
    page.live.acquire('api/x', [])
    await page.clock.advance(0)
    assert.equal(page.live.state.signedOut, true)
    await page.clock.advance(60_000)
    assert.equal(page.asked.length, 1)
  })
})
