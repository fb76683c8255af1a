import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { NOW_MS } from '../../../test/support/board.ts'
import { Play } from '../../../test/support/outages.ts'
import { type AlertPolicy, type AlertState, NO_ALERTS, step } from './machine.ts'
import { observe } from './observe.ts'

const MINUTE_MS = 60_000
const POLICY: AlertPolicy = {
  openFailures: 3,
  openAfterMs: 2 * MINUTE_MS,
  staleAfterMs: 10 * MINUTE_MS,
  closeAfterMs: 3 * MINUTE_MS,
  repeatMs: 6 * 60 * MINUTE_MS,
}
const LOOK_MS = 15_000

/** Plays a script and returns what was told, as `minute kind cause`. Times are minutes from `fromMs`. */
function told(
  script: Readonly<Record<number, (play: Play) => void>>,
  minutes: number,
  state = { now: NO_ALERTS },
  fromMs = NOW_MS,
) {
  const play = new Play(fromMs)
  const notices: string[] = []
  for (let atMs = 0; atMs <= minutes * MINUTE_MS; atMs += LOOK_MS) {
    play.advance(fromMs + atMs)
    script[atMs / MINUTE_MS]?.(play)
    const openKeys = state.now.open.map(({ key }) => key)
    const look = step(state.now, observe(play.board(fromMs + atMs), openKeys), fromMs + atMs, POLICY)
    // As a restart would find it.
    state.now = JSON.parse(JSON.stringify(look.state)) as AlertState
    for (const { kind, incident } of look.notices) notices.push(`${atMs / MINUTE_MS} ${kind} ${incident.key}`)
  }
  return notices
}

const goes =
  (...names: string[]) =>
  (play: Play) =>
    names.map((name) => play.down.add(name))
const comes =
  (...names: string[]) =>
  (play: Play) =>
    names.map((name) => play.down.delete(name))

describe('one incident per cause', () => {
  test('while all is well nothing is told', () => {
    assert.deepEqual(told({}, 60), [])
  })
  test('a network outage that hits every collector is one alert and one recovery, whenever it begins', () => {
    for (const minute of [5, 5.25, 5.5, 5.75, 6, 7.25, 9]) {
      const seen = told({ [minute]: goes('network'), [minute + 30]: comes('network') }, 80)
      assert.deepEqual(
        seen.map((line) => line.replace(/^\S+ /, '')),
        ['down network', 'recovered network'],
      )
      const [opened, closed] = seen.map((line) => Number.parseFloat(line) - minute)
      assert.ok((opened ?? 99) <= 4, `opened ${opened} minutes after the beginning`)
      assert.ok((closed ?? 99) - 30 <= 4.5, `closed ${closed}`)
    }
  })
  test('a database that is away explains every collector that stores', () => {
    assert.deepEqual(told({ 5: goes('ledger'), 40: comes('ledger') }, 80), ['7 down ledger', '43 recovered ledger'])
  })
  test('a source that is away is one alert, which says so once another source has been asked', () => {
    const seen = told({ 5: goes('polymarket'), 45: comes('polymarket') }, 80)
    const kinds = seen.map((line) => line.replace(/^\S+ /, ''))
    assert.deepEqual(kinds, ['down network', 'still_down source:polymarket', 'recovered source:polymarket'])
  })
  test('one collector that fails is its own incident, after three failed cycles', () => {
    const seen = told({ 5: goes('polymarket.prices'), 20: comes('polymarket.prices') }, 40)
    assert.deepEqual(seen, ['7.25 down collector:polymarket.prices', '23.25 recovered collector:polymarket.prices'])
  })
  test('two collectors of one host that is away are one incident, while others of their source work', () => {
    const away = (play: Play) => {
      play.error = 'GET gamma.example/markets answered 503'
      goes('polymarket.prices', 'polymarket.markets')(play)
    }
    const script = { 5: away, 25: comes('polymarket.prices', 'polymarket.markets') }
    const seen = told(script, 60).map((line) => line.replace(/^\S+ /, ''))
    assert.deepEqual(seen, ['down host:gamma.example', 'recovered host:gamma.example'])
  })
  test('what a cause explained is judged anew when the cause has ended', () => {
    const script = { 5: goes('network', 'polymarket.prices'), 30: comes('network') }
    const seen = told(script, 60).map((line) => line.replace(/^\S+ /, ''))
    assert.deepEqual(seen.sort(), ['down collector:polymarket.prices', 'down network', 'recovered network'])
  })
  test('two troubles with two causes are two incidents', () => {
    const broken = (play: Play) => {
      const { tape } = play.board(NOW_MS)
      play.over = { tape: { ...tape, state: 'failed', trouble: 'no space left on device' } }
    }
    const seen = told({ 5: goes('assets.prices'), 10: broken }, 50)
    assert.deepEqual(seen, ['12 down tape', '30.25 down collector:assets.prices'])
  })
})

describe('an alert', () => {
  test('does not open for what is shorter than its time', () => {
    assert.deepEqual(
      told({ 5: goes('ledger'), 6.75: comes('ledger'), 10: goes('network'), 11: comes('network') }, 40),
      [],
    )
  })
  test('opens for silence where nothing fails', () => {
    const play = new Play(NOW_MS)
    let state = NO_ALERTS
    const opened: string[] = []
    for (let minute = 0; minute <= 40; minute += 1) {
      const board = play.board(NOW_MS + minute * MINUTE_MS)
      const collectors = board.collectors.map((one) =>
        one.name === 'assets.prices' ? { ...one, usefulAgeMs: minute * MINUTE_MS } : one,
      )
      const look = step(state, observe({ ...board, collectors }), NOW_MS + minute * MINUTE_MS, POLICY)
      state = look.state
      opened.push(...look.notices.map(({ incident }) => `${minute} ${incident.key}`))
    }
    assert.deepEqual(opened, ['30 collector:assets.prices'], 'three times its cadence')
  })
  test('is repeated while it is open', () => {
    const seen = told({ 5: goes('ledger') }, 13 * 60)
    assert.deepEqual(seen, ['7 down ledger', '367 still_down ledger', '727 still_down ledger'])
  })
  test('that comes and goes is held open from the third time on', () => {
    const script: Record<number, (play: Play) => void> = {}
    for (let minute = 5; minute < 60; minute += 8) {
      script[minute] = goes('ledger')
      script[minute + 3] = comes('ledger')
    }
    const seen = told(script, 120)
    const opening = ['7 down ledger', '11 recovered ledger', '15 down ledger', '19 recovered ledger', '23 down ledger']
    assert.deepEqual(seen, [...opening, '74 recovered ledger'])
  })
  test('outlives a restart: a start says nothing either way', () => {
    const state = { now: NO_ALERTS }
    told({ 5: goes('ledger') }, 10, state)
    assert.equal(state.now.open.length, 1)
    const starting = (play: Play) => {
      const { ledger } = play.board(NOW_MS)
      play.over = { ledger: { ...ledger, state: 'connecting' }, uptimeMs: 0 }
    }
    assert.deepEqual(told({ 0: starting }, 10, state), [])
    assert.equal(state.now.open.length, 1)
  })
  test('of a host outlives a restart, which knows nothing of that host at first', () => {
    const state = { now: NO_ALERTS }
    const away = (play: Play) => {
      play.error = 'GET gamma.example/markets answered 503'
      goes('polymarket.prices', 'polymarket.markets')(play)
    }
    told({ 5: away }, 30, state)
    const restarted = (play: Play) => {
      play.start(5 * MINUTE_MS)
      away(play)
    }
    assert.deepEqual(told({ 0: restarted }, 30, state, NOW_MS + 31 * MINUTE_MS), [])
    assert.deepEqual(
      state.now.open.map(({ key }) => key),
      ['host:gamma.example'],
    )
    const mended = told({ 0: (play) => play.start(0) }, 30, state, NOW_MS + 62 * MINUTE_MS)
    const seen = mended.map((line) => line.replace(/^\S+ /, ''))
    assert.deepEqual(seen, ['recovered host:gamma.example'])
  })
  test('of something that is no longer recorded is closed and says so', () => {
    const state = { now: NO_ALERTS }
    told({ 5: goes('polymarket.prices') }, 20, state)
    const look = step(state.now, [], NOW_MS, POLICY)
    assert.deepEqual(
      look.notices.map(({ kind, incident }) => [kind, incident.note]),
      [['recovered', 'no longer watched']],
    )
  })
  test('opens where connections answer and most tokens stay in doubt', () => {
    const frozen = (play: Play) => {
      const { recorder } = play.board(NOW_MS)
      play.over = { recorder: { ...recorder, tokensInDoubt: 40 } }
    }
    const well = (play: Play) => {
      play.over = {}
    }
    assert.deepEqual(told({ 1: frozen, 10: well }, 20), ['3 down doubt', '13 recovered doubt'])
  })
  test('of a form of books that cannot be verified is told once', () => {
    const strange = (play: Play) => {
      const { recorder } = play.board(NOW_MS)
      play.over = { recorder: { ...recorder, unverifiableForms: 1 } }
    }
    assert.deepEqual(told({ 1: strange }, 24 * 60), ['3 down books'])
  })
})
