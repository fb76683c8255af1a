import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { TransientError } from '../core/errors.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { createLogging, type LogEntry, type LoggingOptions } from './logging.ts'

const clock = new SimulatedClock(Date.UTC(2026, 9, 1, 12, 0, 0))

function setUp(options: Partial<LoggingOptions> = {}) {
  const lines: string[] = []
  const write = (line: string) => {
    lines.push(line)
  }
  return { lines, ...createLogging({ clock, level: 'info', format: 'json', write, ...options }) }
}

describe('log lines', () => {
  test('as JSON have time, level, message and context, one line each', () => {
    const { lines, log } = setUp()
    log.child({ collector: 'prices' }).info({ items: 3, ids: [1n] }, 'two\nlines')
    log.debug({}, 'not shown')
    assert.equal(lines.length, 1)
    assert.match(lines[0] ?? '', /\n$/)
    assert.deepEqual(JSON.parse(lines[0] ?? ''), {
      level: 'info',
      time: '2026-10-01T12:00:00.000Z',
      collector: 'prices',
      items: 3,
      ids: ['1'],
      message: 'two\nlines',
    })
  })

  test('hold errors with their causes', () => {
    const { lines, log } = setUp()
    log.error({ err: new Error('outer', { cause: new TransientError('inner') }) }, 'broken')
    const { err } = JSON.parse(lines[0] ?? '')
    assert.deepEqual(
      [err.type, err.message, err.cause.type, err.cause.message],
      ['Error', 'outer', 'TransientError', 'inner'],
    )
    assert.match(err.stack, /logging\.test/)
  })

  test('never hold a secret', () => {
    const { lines, log, addSecret } = setUp()
    addSecret('correct"horse')
    addSecret('x') // too short to be looked for
    const err = new Error('cannot reach postgresql://keeper:hunter2@db:5432/tape?x=1')
    log.error({ err, password: 'hunter2', headers: { Authorization: 'Bearer hunter2222' } }, 'correct"horse x')
    log.warn(
      { url: 'https://venue.test/a?api_key=hunter2&b=1', deep: ['password=hunter2'] },
      'see postgres://:hunter2@h/d',
    )
    log.info({ deep: { list: ['say correct"horse'] }, token: '123', token_id: '456' }, 'connect: Basic aHVudGVyMg==')
    const text = lines.join('')
    assert.doesNotMatch(text, /hunter2|horse|aHVudGVyMg/)
    assert.match(text, /keeper:\*\*\*@db:5432\/tape\?x=1/)
    assert.match(text, /"token":"123","token_id":"456"/)
  })

  test('are bounded, whatever is put into them', () => {
    const { lines, log } = setUp()
    const circle: Record<string, unknown> = {
      big: 'y'.repeat(100_000),
      many: Array.from({ length: 10_000 }, (_, n) => n),
    }
    circle['self'] = circle
    circle['wide'] = Array.from({ length: 40 }, () =>
      Array.from({ length: 40 }, () => Array.from({ length: 40 }, () => 1)),
    )
    const hostile = {
      get trap() {
        throw new Error('gotcha')
      },
    }
    log.info(circle, 'm'.repeat(100_000))
    log.info({ hostile, fn: () => 1, buffer: Buffer.alloc(5), none: undefined, date: new Date(Number.NaN) }, 'odd')
    assert.equal(lines.length, 2)
    assert.ok((lines[0]?.length ?? 0) < 30_000, `${lines[0]?.length} characters`)
    for (const line of lines) JSON.parse(line)
  })

  test('for people are one line each and cannot smuggle control characters', () => {
    const { lines, log } = setUp({ format: 'pretty' })
    log
      .child({ collector: 'prices' })
      .warn({ items: 3, word: 'a\u001b[31mb' }, 'two\nlines \u001b]0;title\u0007\r\nend')
    assert.match(lines[0] ?? '', /^\d\d:\d\d:\d\d WARN {2}two lines ·\]0;title· end items=3 word=a·\[31mb\n$/)
    log.error({ err: new TypeError('x is undefined') }, 'a bug: x is undefined')
    assert.match(lines[1] ?? '', /ERROR a bug: x is undefined at .*logging\.test/)
    log.error({ err: new TransientError('no route') }, 'failed: no route')
    assert.match(lines[2] ?? '', /ERROR failed: no route\n$/)
  })

  test('for people: any text gives exactly one line', () => {
    const { lines, log } = setUp({ format: 'pretty' })
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (message, word) => {
        lines.length = 0
        log.info({ word }, message)
        assert.equal(lines.length, 1)
        assert.equal(lines.join('').indexOf('\n'), lines.join('').length - 1)
      }),
      { numRuns: 300, verbose: 1 },
    )
  })
})

describe('observers', () => {
  test('get every entry from info on, redacted, whatever is written', () => {
    const logging = setUp({ level: 'error' })
    const entries: LogEntry[] = []
    const stop = logging.observe((entry) => entries.push(entry))
    logging.log.debug({}, 'never')
    logging.log.child({ collector: 'prices' }).info({ url: 'http://u:p@h/' }, 'seen')
    stop()
    logging.log.info({}, 'unseen')
    assert.deepEqual(logging.lines, [])
    assert.deepEqual(entries, [
      {
        atMs: clock.wallMs(),
        level: 'info',
        message: 'seen',
        context: { collector: 'prices', url: 'http://u:***@h/' },
      },
    ])
  })

  test('may log and may fail without harm', () => {
    const logging = setUp()
    const seen: string[] = []
    logging.observe((entry) => {
      seen.push(entry.message)
      logging.log.info({}, 'from the observer')
      throw new Error('full')
    })
    logging.log.info({}, 'first')
    logging.log.info({}, 'second')
    assert.deepEqual(seen, ['first', 'second'])
    assert.equal(logging.lines.length, 4)
    assert.equal(logging.failures(), 2)
  })
})

test('a place to write to that fails harms nobody and is counted', () => {
  const logging = setUp({
    write: () => {
      throw new Error('ENOSPC')
    },
  })
  logging.log.info({}, 'lost')
  assert.equal(logging.failures(), 1)
})
