import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import fc from 'fast-check'
import { RequestError } from '../src/data/request.ts'
import * as made from './samples.ts'
import { type Answers, stage } from './support.tsx'

const { App } = await import('../src/app.tsx')
const { LogsCard } = await import('../src/fetcher/logs-card.tsx')
const { RecentUpdatesCard } = await import('../src/fetcher/recent-updates-card.tsx')
const { readRoute } = await import('../src/route.ts')
const words = await import('../src/words.ts')

function answers(change: Answers = {}): Answers {
  return {
    'api/health': made.health(),
    'api/collectors': { collectors: [made.collector(), made.trades] },
    'api/collectors/polymarket.prices/cycles': { cycles: [made.cycle()], next_before: null },
    'api/session': { token_required: false, signed_in: true },
    'api/fetcher/status': made.fetcherStatus(),
    ...change,
  }
}

describe('the page', () => {
  beforeEach(() => {
    location.hash = ''
  })

  test('says in one sentence that all is well, and in its title', () =>
    stage(answers(), <App />, async (page) => {
      const { textContent } = page.find('.headline')
      assert.match(textContent ?? '', /Healthy.*All is well: 2 of 2 collectors deliver, tape and ledger are in order\./)
      assert.equal(document.title, '● Healthy – Tapekeeper')
      assert.equal(page.find('.headline [role=status]').textContent, 'Healthy')
    }))

  test('says the worst first', () => {
    const reasons = ['polymarket.orderbooks failed in its last cycle: HTTP 500', 'something else']
    const degraded = {
      'api/health': made.health({ status: 'degraded', reasons }),
      'api/collectors': { collectors: [made.collector(), made.failing] },
    }
    return stage(answers(degraded), <App />, async (page) => {
      assert.match(
        page.find('.headline').textContent ?? '',
        /Degraded: polymarket\.orderbooks failed in its last cycle: HTTP 500 \(and 1 mor.*; 1 of 2 collectors are fine/,
      )
      assert.match(document.title, /^■ Degraded: polymarket\.orderbooks/)
      assert.match(page.find('.collectors tbody').textContent ?? '', /polymarket\.orderbooks/)
    })
  })
})

describe('the page between its reader and the recorder', () => {
  test('a pause is seen, stops everything and is never green', () =>
    stage(answers(), <App />, async (page) => {
      await page.click('.pause')
      assert.match(page.find('.headline').textContent ?? '', /Paused.*it was healthy/)
      assert.equal(page.all('.headline .state-good').length, 0)
      const before = page.asked.length
      await page.pass(60_000)
      assert.equal(page.asked.length, before)
      await page.press('3')
      assert.match(page.text, /Markets.*The page is paused, so this is not loaded/)
      await page.press('1')
      await page.click('.pause')
      assert.match(page.find('.headline').textContent ?? '', /All is well/)
    }))

  test('a lost connection is said, with when it was last seen, and mended by itself', () =>
    stage(answers(), <App />, async (page) => {
      page.failure = new RequestError(0, 'Tapekeeper does not answer')
      await page.pass(20_000)
      assert.match(page.find('.headline').textContent ?? '', /No connection.*Last seen .*20 s ago; it was healthy then/)
      assert.equal(page.all('.state-good').length, 0)
      assert.match(document.title, /No connection/)
      page.failure = null
      await page.pass(10_000)
      assert.match(page.find('.headline').textContent ?? '', /All is well/)
    }))

  test('asks for the token, says when it is wrong, and goes on when it is right', () =>
    stage(answers(), <App />, async (page) => {
      page.failure = new RequestError(401, 'a token is needed')
      await page.pass(10_000)
      assert.match(page.text, /asks for its token/)
      page.failure = new RequestError(401, 'this is not the token')
      await page.enter('#token', 'wrong')
      await page.send('form', 'submit')
      assert.match(page.text, /Not signed in: this is not the token/)
      page.failure = null
      await page.enter('#token', 'right')
      await page.send('form', 'submit')
      const sent = page.asked.findLast(({ options }) => options?.method === 'POST')
      assert.deepEqual([sent?.path, sent?.options?.body], ['api/session', { token: 'right' }])
      await page.pass(0)
      assert.match(page.text, /All is well/)
    }))

  test('an address that names nothing says so', () => {
    assert.deepEqual(readRoute('#/fetcher'), { view: 'fetcher' })
    assert.deepEqual(readRoute(''), { view: 'overview' })
    for (const wrong of ['#/x', '#/fetcher/y', '#/markets/0x12', '#/markets/<img>']) {
      assert.deepEqual(readRoute(wrong), { view: 'unknown' })
    }
  })
})

describe('the log', () => {
  const path = 'api/fetcher/logs'
  const first = made.logs(
    made.entry({ id: 12, level: 'ERROR', message: 'it broke', context: { code: 7 } }),
    made.entry(),
  )

  test('is filtered by level and searched', () =>
    stage({ [path]: first }, <LogsCard />, async (page) => {
      page.answers = {
        [path]: first,
        [`${path}?limit=200&level=ERROR`]: made.logs(made.entry({ message: 'an error' })),
      }
      await page.enter('select', 'ERROR')
      assert.match(page.text, /an error/)
      assert.doesNotMatch(page.text, /cycle done/)
      page.answers = { [`${path}?limit=200&level=ERROR&search=none`]: made.logs() }
      const field = page.find('input')
      await page.enter('input', 'none')
      assert.equal(page.find('input'), field) // or whoever types would lose it
      assert.match(page.text, /No entry matches the filter/)
      assert.ok(page.find('input')) // still there to change one's mind
    }))

  test('an entry opens to its context, and shows its surroundings', () =>
    stage({ [path]: first }, <LogsCard />, async (page) => {
      await page.click('.log-toggle')
      assert.match(page.text, /code7/)
      assert.equal(page.find('.log-toggle').getAttribute('aria-expanded'), 'true')
      page.answers = { [`${path}?limit=200&before=72`]: first }
      await page.click('.log-details button')
      assert.match(page.find('.log-marked').textContent ?? '', /it broke/)
    }))

  test('what is being read does not move; new entries wait', () =>
    stage({ [path]: first }, <LogsCard />, async (page) => {
      await page.click('.log-toggle')
      page.answers = { [path]: made.logs(made.entry({ id: 14 }), made.entry({ id: 13 }), ...first.logs) }
      await page.tell('log')
      assert.equal(page.all('.log').length, 2)
      assert.equal(page.find('.new-rows').textContent, '2 new entries')
      await page.click('.new-rows button')
      assert.equal(page.all('.log').length, 4)
    }))

  test('who touches the list reads on after the finger is lifted; a mouse that leaves does not', () =>
    stage({ [path]: first }, <LogsCard />, async (page) => {
      const list = page.find('.scroll-logs')
      const more = (id: number) => {
        page.answers = { [path]: made.logs(made.entry({ id }), ...first.logs) }
        return page.tell('log')
      }
      const passOver = (pointerType: string) => {
        for (const type of ['pointerenter', 'pointerleave']) list.dispatchEvent(pointer(type, pointerType))
      }
      passOver('mouse')
      await more(21)
      assert.equal(page.all('.log').length, 3)
      passOver('touch')
      await more(22)
      assert.equal(page.find('.new-rows').textContent, '1 new entry')
    }))
})

function pointer(type: string, pointerType: string): Event {
  return Object.assign(new window.Event(type), { pointerType })
}

test('every shown update has a name, a time and a result', async () => {
  const update = fc.record({
    symbol: fc.stringMatching(/^[A-Z]{1,6}$/),
    name: fc.string({ minLength: 1, maxLength: 30 }).filter((name) => name.trim() !== ''),
    agoSeconds: fc.integer({ min: 0, max: 1_000_000 }),
    success: fc.boolean(),
  })
  const unique = {
    maxLength: 60,
    selector: ({ symbol, agoSeconds }: { symbol: string; agoSeconds: number }) => `${symbol} ${agoSeconds}`,
  }
  const property = fc.asyncProperty(fc.uniqueArray(update, { minLength: 1, ...unique }), async (many) => {
    const updates = many.map(({ symbol, name, agoSeconds, success }) =>
      made.update({ symbol, name, timestamp: made.at(agoSeconds), success, price: success ? '1' : null }),
    )
    await stage({ 'api/fetcher/recent-updates': { updates } }, <RecentUpdatesCard />, async (page) => {
      const rows = page.all('.updates tbody tr')
      assert.equal(rows.length, updates.length)
      for (const [at, row] of rows.entries()) {
        assert.equal(row.querySelector('[data-label=Name]')?.textContent, updates[at]?.name)
        assert.match(row.querySelector('time')?.textContent ?? '', /\d\d:\d\d:\d\d/)
        assert.equal(row.querySelector('.state')?.textContent, updates[at]?.success ? 'Success' : 'Failure')
      }
    })
  })
  await fc.assert(property, { numRuns: 100 })
})

test('words', () => {
  assert.equal(words.wholeDuration(312), '5 m 12 s')
  assert.equal(words.durationInWords(7_500), '2 hours 5 minutes')
  assert.equal(words.durationInWords(1), '1 second')
  assert.equal(words.percent(99.999, 2), '99.99 %') // not 100: something failed
  assert.equal(words.percent(100, 2), '100 %')
  assert.equal(words.bytes(1_100_000), '1.1 MB')
  assert.equal(words.cents(0.625), '62.5¢')
  const [then, now] = [new Date(2025, 0, 27, 4, 5, 6), new Date(2026, 0, 27)]
  assert.equal(words.clockTime(then.getTime(), now.getTime()), '27 Jan 2025, 04:05:06')
  assert.equal(words.dollars('not money'), '–')
})

test('a collector that the page lost sight of is not called late, and nothing counts on', () =>
  stage(answers(), <App />, async (page) => {
    page.failure = new RequestError(0, 'Tapekeeper does not answer')
    await page.pass(200_000)
    assert.match(
      page.find('.collectors tbody').textContent ?? '',
      /Was running.*unknownWhen it was last seen: Every 1 m 0 s/,
    )
    assert.match(page.find('.card-status').textContent ?? '', /Next updateunknown.*2 hours 5 minutes/)
  }))
