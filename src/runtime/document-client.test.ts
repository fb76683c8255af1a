import assert from 'node:assert/strict'
import type { LookupAddress } from 'node:dns'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { TransientError } from '../core/errors.ts'
import { createDocumentClient, type DocumentClientOptions } from './document-client.ts'
import { HostTurns } from './host-turns.ts'
import { isPrivateAddress } from './private-addresses.ts'
import { systemClock } from './system-clock.ts'

const clock = systemClock()
const never = new AbortController().signal

describe('addresses', () => {
  test('that are not on the public internet', () => {
    for (const address of [
      ...['127.0.0.1', '127.255.0.9', '0.0.0.0', '10.1.2.3', '172.16.0.1', '172.31.255.255', '192.168.1.1'],
      ...['169.254.169.254', '100.64.0.1', '192.0.0.8', '198.18.0.1', '203.0.113.7', '224.0.0.1', '255.255.255.255'],
      ...['::', '::1', '::ffff:127.0.0.1', '::ffff:8.8.8.8', '::7f00:1', '64:ff9b::7f00:1', 'fe80::1', 'fe80::1%eth0'],
      ...['fc00::1', 'fdff::1', 'fec0::1', 'ff02::1', '2001:db8::1', '2002:7f00:1::', '2001::1', 'localhost', ''],
    ]) {
      assert.equal(isPrivateAddress(address), true, address)
    }
  })
  test('that are', () => {
    for (const address of ['8.8.8.8', '1.1.1.1', '172.32.0.1', '193.0.0.1', '2606:4700::1111', '2a00:1450:4001::5e']) {
      assert.equal(isPrivateAddress(address), false, address)
    }
  })
})

describe('a document', () => {
  let base = ''
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.headers.host} ${request.url}`)
    serve(request, response)
  })
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(() => {
    server.close()
    server.closeAllConnections()
  })

  const open = (change: Partial<DocumentClientOptions> = {}) =>
    createDocumentClient({ clock, userAgent: 'tapekeeper/test', delayMs: 0, allowPrivate: true, ...change })
  async function get(url: string, change: Partial<DocumentClientOptions> & { bodyBytesMax?: number } = {}) {
    const client = open(change)
    const meter = { requests: 0, bytes: 0 }
    asked.length = 0
    try {
      const { bodyBytesMax = 1_000 } = change
      const document = await client.get(url, { signal: never, accept: '*/*', bodyBytesMax, meter })
      return { ...document, text: document.body.toString(), meter }
    } finally {
      await client.close()
    }
  }
  const words = (work: Promise<unknown>) =>
    work.then(
      () => assert.fail('it was given'),
      (error: unknown) => {
        assert.ok(error instanceof TransientError, String(error))
        return error.message
      },
    )

  test('comes with its validators, unpacked, and what it cost', async () => {
    const document = await get(`${base}/packed`)
    assert.deepEqual(
      [document.text, document.etag, document.contentType, document.meter],
      ['x'.repeat(500), '"one"', 'text/plain', { requests: 1, bytes: 500 }],
    )
  })

  test('is asked for with the validators of the place where it was found, and of no other', async () => {
    const client = open()
    const meter = { requests: 0, bytes: 0 }
    const ask = (path: string, foundAt: string) => {
      const known = { foundAt: `${base}${foundAt}`, etag: '"one"', lastModified: null }
      return client.get(`${base}${path}`, { signal: never, accept: '*/*', bodyBytesMax: 1_000, meter, known })
    }
    const through = await ask('/to?/packed', '/packed')
    assert.deepEqual([through.unchanged, through.url, meter], [true, `${base}/packed`, { requests: 2, bytes: 0 }])
    assert.equal((await ask('/packed', '/elsewhere')).unchanged, false)
    await client.close()
  })

  test('is followed five times, and never in a circle', async () => {
    assert.equal((await get(`${base}/hops?5`)).text, 'arrived')
    assert.match(await words(get(`${base}/hops?6`)), /redirected more than 5 times/)
    assert.match(await words(get(`${base}/loop`)), /redirected more than 5 times/)
    assert.equal(asked.length, 6)
    for (const target of ['file:///etc/passwd', 'ftp://a.example/', 'gopher://a.example/', '']) {
      assert.match(await words(get(`${base}/to?${target}`)), /redirected/)
    }
  })

  test('has a largest size, before and after unpacking', async () => {
    assert.match(await words(get(`${base}/packed`, { bodyBytesMax: 499 })), /more than 499 bytes/)
    assert.match(await words(get(`${base}/endless`)), /more than 1000 bytes/)
  })

  test('that is refused says how, and its host is left alone for as long as it asked', async () => {
    assert.match(await words(get(`${base}/status?404`)), /answered 404/)
    const client = open()
    const ask = (path: string) =>
      client.get(base + path, { signal: never, accept: '*/*', bodyBytesMax: 9, meter: { requests: 0, bytes: 0 } })
    assert.match(await words(ask('/status?429')), /answered 429/)
    asked.length = 0
    assert.match(await words(ask('/packed')), /asked us to wait 120 s more/)
    assert.deepEqual(asked, [])
    await client.close()
  })

  describe('on a network that is not public', () => {
    const port = () => new URL(base).port
    const leadsTo = (...addresses: string[]) => {
      const found = addresses.map((address): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 }))
      return { allowPrivate: false, resolve: async () => found }
    }
    const refused = async (url: string, change: Partial<DocumentClientOptions>) => {
      assert.match(await words(get(url, change)), /not on the public internet/)
      assert.deepEqual(asked, [], 'nothing was asked')
    }

    test('is not asked for, however the address is written', async () => {
      for (const host of ['127.0.0.1', '2130706433', '0x7f.1', '0177.0.0.1', '127.1', '[::1]', '[::ffff:127.0.0.1]']) {
        await refused(`http://${host}:${port()}/packed`, leadsTo('8.8.8.8'))
      }
    })
    test('is not asked for by a name that leads there', async () => {
      await refused(`http://inside.example:${port()}/packed`, leadsTo('127.0.0.1'))
      await refused(`http://inside.example:${port()}/packed`, leadsTo('::1', '10.0.0.1'))
      assert.match(await words(get(`http://localhost:${port()}/packed`, { allowPrivate: false })), /not on the public/)
    })
    /** This machine's first address plays the public internet, the others do not. */
    const isPrivate = (address: string) => address !== '127.0.0.1'
    test('is not asked for by a redirect', async () => {
      const resolve = async (host: string): Promise<LookupAddress[]> => [
        { address: host === 'outside.example' ? '127.0.0.1' : '127.0.0.2', family: 4 },
      ]
      const strict = { allowPrivate: false, isPrivate, resolve }
      assert.equal((await get(`http://outside.example:${port()}/hops?2`, strict)).text, 'arrived')
      for (const inside of [`http://127.0.0.2:${port()}`, `http://[::1]:${port()}`, `//inside.example:${port()}`]) {
        const message = await words(get(`http://outside.example:${port()}/to?${inside}/packed`, strict))
        assert.match(message, /not on the public internet/)
        assert.equal(asked.length, 1, asked.join())
      }
    })
    test('is not asked for by a name that leads elsewhere the second time', async () => {
      const answers: string[] = []
      const resolve = async (): Promise<LookupAddress[]> => [{ address: answers.shift() ?? 'none', family: 4 }]
      const strict = { allowPrivate: false, isPrivate, resolve }
      // What was looked at is what is connected to: there is no second question.
      answers.push('127.0.0.1', '127.0.0.2')
      assert.equal((await get(`http://rebind.example:${port()}/packed`, strict)).text.length, 500)
      assert.deepEqual(answers, ['127.0.0.2'])
      await refused(`http://rebind.example:${port()}/packed`, strict)
    })
    test('is asked for where that is allowed', async () => {
      assert.equal((await get(`http://127.0.0.1:${port()}/packed`)).text.length, 500)
      assert.equal((await get(`http://localhost:${port()}/packed`)).text.length, 500)
    })
  })

  test('of one host is asked for one after the other, with a delay', async () => {
    const turns = new HostTurns({ clock, delayMs: 30 })
    const atMs: number[] = []
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        await turns.take('a.example', never)
        atMs.push(clock.monotonicMs())
      }),
    )
    for (const [n, ms] of atMs.entries()) if (n > 0) assert.ok(ms - (atMs[n - 1] ?? 0) >= 29, `after ${ms}`)
  })
})

function serve(request: IncomingMessage, response: ServerResponse): void {
  const [path, query = ''] = (request.url ?? '').split('?')
  const redirect = (location: string) => response.writeHead(302, { location }).end('x'.repeat(100))
  switch (path) {
    case '/packed':
      if (request.headers['if-none-match'] === '"one"') response.writeHead(304).end()
      else {
        const headers = { etag: '"one"', 'content-type': 'text/plain', 'content-encoding': 'gzip' }
        response.writeHead(200, headers).end(gzipSync('x'.repeat(500)))
      }
      return
    case '/to':
      redirect(query)
      return
    case '/hops':
      if (query === '0') response.end('arrived')
      else redirect(`?${Number(query) - 1}`)
      return
    case '/loop':
      redirect('/loop')
      return
    case '/endless': {
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(400)));
      }
      response.on('drain', more)
      more()
      return
    }
    default:
      response.writeHead(Number(query), { 'retry-after': '120' }).end()
  }
}
