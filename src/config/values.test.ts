import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  formatAddress,
  formatDuration,
  formatSize,
  maskDatabaseUrl,
  parseAddress,
  parseDatabaseUrl,
  parseDuration,
  parseSize,
  parseUrl,
} from './values.ts'

describe('durations', () => {
  for (const [text, expectedMs] of [
    ['500ms', 500],
    ['60s', 60_000],
    ['10m', 600_000],
    ['1.5h', 5_400_000],
    ['30d', 2_592_000_000],
    [' 5 s ', 5000],
  ] as const) {
    test(`${text} is ${expectedMs} ms`, () => assert.equal(parseDuration(text), expectedMs))
  }
  for (const text of ['', 's', '-5s', '5', '5 weeks', '5s5', '1e3s', 'NaN', '60S']) {
    test(`"${text}" is refused`, () => assert.throws(() => parseDuration(text), /is not a duration like 60s/))
  }
  test('a number without a unit gets a hint', () => {
    assert.throws(() => parseDuration('60'), /a unit is missing, for example 60s/)
  })
  test('reading what was written gives the same', () => {
    fc.assert(fc.property(fc.nat(2 ** 40), (ms) => assert.equal(parseDuration(formatDuration(ms)), ms)))
  })
  test('known cadences are written as people write them', () => {
    const written = ['500ms', '60s', '90s', '300s', '10m', '30m', '12h', '30d']
    assert.deepEqual(
      written.map((text) => formatDuration(parseDuration(text))),
      written,
    )
  })
})

describe('sizes', () => {
  test('thousands and 1024s', () => {
    assert.equal(parseSize('50GB'), 50e9)
    assert.equal(parseSize('512mib'), 512 * 2 ** 20)
    assert.equal(parseSize('1.5 TB'), 1.5e12)
  })
  test('a number without a unit gets a hint', () => {
    assert.throws(() => parseSize('50'), /a unit is missing, for example 50GB/)
  })
  test('reading what was written gives the same', () => {
    fc.assert(fc.property(fc.nat(2 ** 50), (bytes) => assert.equal(parseSize(formatSize(bytes)), bytes)))
  })
})

describe('addresses', () => {
  test('names, IPv4 and IPv6', () => {
    for (const text of ['127.0.0.1:8090', 'localhost:0', '[::1]:8090']) {
      assert.equal(formatAddress(parseAddress(text)), text)
    }
  })
  for (const text of ['8090', ':8090', '127.0.0.1', '127.0.0.1:', '127.0.0.1:65536', '::1:80', 'http://x:80']) {
    test(`"${text}" is refused`, () => assert.throws(() => parseAddress(text), /is not an address/))
  }
})

describe('URLs', () => {
  test('lose their trailing slash', () => assert.equal(parseUrl('http://x:1/a/', ['http']), 'http://x:1/a'))
  test('must have a known scheme', () => assert.throws(() => parseUrl('ftp://x', ['http']), /starts with http:\/\//))
  test('must not hold a password', () => assert.throws(() => parseUrl('http://u:p@x', ['http']), /must not hold/))
})

describe('connection strings', () => {
  for (const text of [
    'postgres://u:p@h:5432/db',
    'postgresql://h/db?sslmode=require',
    'postgres://u:p%23@h/db',
    'postgres:///db?host=/tmp',
    'postgres://u@/db?host=/tmp',
  ]) {
    test(`${text} is accepted`, () => assert.equal(parseDatabaseUrl(text), text))
  }
  for (const text of ['mysql://u:hush@h/db', 'h:5432', 'postgres://u:hu#sh@h/db', 'postgres://u:hush@h:x/db', 'hush']) {
    test(`${text.replaceAll(/hu#?sh/g, '…')} is refused without being repeated`, () => {
      assert.throws(
        () => parseDatabaseUrl(text),
        (error: Error) => /is not a connection string/.test(error.message) && !/hu#?sh/.test(error.message),
      )
    })
  }
  test('masking hides every password', () => {
    assert.equal(maskDatabaseUrl('postgres://u:p%40x@h/db'), 'postgres://u:***@h/db')
    assert.equal(maskDatabaseUrl('postgres://h/db?user=u&password=p&x=1'), 'postgres://h/db?user=u&password=***&x=1')
    assert.equal(maskDatabaseUrl('postgres://h/db'), 'postgres://h/db')
  })
  test('whatever is accepted shows no password', () => {
    const password = fc.stringMatching(/^[A-Za-z0-9@:/%]{6,20}$/).map((text) => `Q${text}Q`)
    fc.assert(
      fc.property(password, (text) => {
        const url = `postgres://user:${encodeURIComponent(text)}@host/db`
        assert.ok(!maskDatabaseUrl(parseDatabaseUrl(url)).includes(encodeURIComponent(text)))
      }),
    )
  })
})
