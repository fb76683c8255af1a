import { createServer as createHttpServer, type Server as HttpServer } from 'node:http'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Clock } from '../core/clock.ts'
import { EXIT, PermanentError } from '../core/errors.ts'
import { between, purposeRandom } from './identity.ts'
import { GOOD_LINE, type LineConditions, Pipe } from './proxy-pipe.ts'

export interface ProxyOptions {
  /** A URL with the venue's host and port. */
  readonly target: string
  readonly seed: number
  /** 0 takes any free port. */
  readonly port?: number
}

/** Which of the open connections are meant. */
export interface Selection {
  /** All without it. */
  readonly kind?: 'websocket' | 'http'
  /** Each with this chance, from the seed; 1 without it. */
  readonly share?: number
}

/** One or more commands; several in one object happen in the order written. */
export interface ProxyCommand {
  /** For all connections there are and will be; what is left out becomes good again. */
  readonly line?: Partial<LineConditions>
  /** New connections are reset at once. */
  readonly refuse?: boolean
  /** Both sides get a RST. */
  readonly reset?: Selection
  /** Nothing is passed on any more, and nobody is told. `down` is from the venue to the client. */
  readonly halfOpen?: Selection & { readonly direction?: 'down' | 'up' | 'both' }
  /** So many bytes more from the venue (a few thousand at most without it), then the end. */
  readonly truncate?: Selection & { readonly bytes?: number }
  /** A good line that refuses nobody; dead HTTP connections are reset, WebSockets stay dead until somebody sees. */
  readonly heal?: true
}

export interface ProxyCounts {
  connections: number
  refused: number
  resets: number
  halfOpened: number
  truncated: number
  forwardedBytes: number
  /** Taken from a half-open connection and thrown away. */
  discardedBytes: number
}

export interface ProxyAccount {
  readonly counts: ProxyCounts
  readonly open: number
  readonly openWebSockets: number
  readonly line: LineConditions
  readonly refusing: boolean
}

/** A proxy in front of the venue's port, and the address of its control endpoint. */
export interface RunningProxy {
  readonly port: number
  readonly control: string
  account(): ProxyAccount
  /** Returns how many connections were hit. Throws TypeError when it is no command. */
  carryOut(command: ProxyCommand): number
  close(): Promise<void>
}

interface Link {
  readonly client: Socket
  readonly upstream: Socket
  readonly down: Pipe
  readonly up: Pipe
  kind: 'websocket' | 'http'
}

const HOST = '127.0.0.1'
/** Further ones are refused and counted. */
const LINKS_MAX = 5_000
const TRUNCATE_BYTES_MAX = 4_000
const BODY_BYTES_MAX = 64 * 1024
const LATENCY_MS_MAX = 60_000

/** Opens both ports. Blind to what the bytes mean, except that it knows a WebSocket by its handshake. */
export async function startProxy(options: ProxyOptions, clock: Clock): Promise<RunningProxy> {
  const lines = new Lines(options, clock)
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => lines.accept(client))
  const port = await listenOn(server, options.port ?? 0)
  const control = createHttpServer((request, response) => {
    answer(lines, request.method === 'POST' ? request : null).then(
      ([status, body]) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  })
  const controlPort = await listenOn(control, 0)
  return {
    port,
    control: `http://${HOST}:${controlPort}/control`,
    account: () => lines.account(),
    carryOut: (command) => lines.carryOut(command),
    async close() {
      lines.endAll()
      control.closeAllConnections()
      await Promise.all([server, control].map((one) => new Promise<void>((resolve) => one.close(() => resolve()))))
    },
  }
}

async function answer(lines: Lines, request: AsyncIterable<Buffer> | null): Promise<readonly [number, unknown]> {
  if (request === null) return [200, lines.account()]
  let body = ''
  for await (const chunk of request) {
    if (body.length + chunk.length > BODY_BYTES_MAX) return [413, { ok: false, error: 'too large' }]
    body += chunk.toString()
  }
  try {
    return [200, { ok: true, hit: lines.carryOut(JSON.parse(body) as ProxyCommand), ...lines.account() }]
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error
    return [400, { ok: false, error: error.message }]
  }
}

function listenOn(server: Server | HttpServer, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new PermanentError(`cannot listen on ${HOST}:${port}`, { cause, exitCode: EXIT.unavailable }))
    })
    server.listen(port, HOST, () => resolve((server.address() as AddressInfo).port))
  })
}

/** Every connection through the proxy. */
class Lines {
  readonly #target: { readonly host: string; readonly port: number }
  readonly #clock: Clock
  readonly #links = new Set<Link>()
  readonly #choose
  readonly #jitter
  readonly #counts: ProxyCounts = {
    connections: 0,
    refused: 0,
    resets: 0,
    halfOpened: 0,
    truncated: 0,
    forwardedBytes: 0,
    discardedBytes: 0,
  }
  #line = GOOD_LINE
  #refusing = false

  constructor(options: ProxyOptions, clock: Clock) {
    const { hostname, port } = new URL(options.target)
    this.#target = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) }
    this.#clock = clock
    this.#choose = purposeRandom(options.seed, 'proxy-choice')
    this.#jitter = purposeRandom(options.seed, 'proxy-jitter')
  }

  account(): ProxyAccount {
    const openWebSockets = [...this.#links].filter((link) => link.kind === 'websocket').length
    const counts = { ...this.#counts }
    return { counts, open: this.#links.size, openWebSockets, line: this.#line, refusing: this.#refusing }
  }

  accept(client: Socket): void {
    this.#counts.connections += 1
    client.on('error', () => {}) // 'close' follows
    if (this.#refusing || this.#links.size >= LINKS_MAX) {
      this.#counts.refused += 1
      client.resetAndDestroy()
      return
    }
    const upstream = connect({ ...this.#target, allowHalfOpen: true, noDelay: true })
    let failed = false
    upstream.on('error', () => {
      failed = true
    })
    const link = this.#join(client, upstream)
    this.#links.add(link)
    client.once('data', (data: Buffer) => {
      if (/^upgrade: *websocket/im.test(data.toString('latin1'))) link.kind = 'websocket'
    })
    client.on('close', () => {
      this.#links.delete(link)
      link.up.stop()
      link.down.stop()
      upstream.destroy()
    })
    upstream.on('close', () => {
      // A line that is dead in this direction does not tell of the other side's end.
      if (link.down.discarding) return
      if (failed) client.resetAndDestroy()
    })
  }

  #join(client: Socket, upstream: Socket): Link {
    const shared = {
      clock: this.#clock,
      random: this.#jitter,
      conditions: () => this.#line,
      count: (what: 'forwarded' | 'discarded', bytes: number) => {
        this.#counts[`${what}Bytes`] += bytes
      },
    }
    const up = new Pipe({ ...shared, from: client, to: upstream })
    const down = new Pipe({ ...shared, from: upstream, to: client })
    return { client, upstream, up, down, kind: 'http' }
  }

  carryOut(command: ProxyCommand): number {
    let hit = 0
    for (const [name, value] of Object.entries(command)) {
      const carry = this.#commands[name as keyof ProxyCommand]
      if (carry === undefined) throw new TypeError(`unknown command ${name}`)
      hit += carry(value as never)
    }
    return hit
  }

  readonly #commands: Readonly<Record<keyof ProxyCommand, (value: never) => number>> = {
    line: (value: Partial<LineConditions>) => {
      const line = { ...GOOD_LINE, ...value }
      for (const [name, number] of Object.entries(line)) {
        if (!(typeof number === 'number' && number >= 0)) throw new TypeError(`line: ${name} must not be below 0`)
      }
      if (line.latencyMs + line.jitterMs > LATENCY_MS_MAX) throw new TypeError(`line: at most ${LATENCY_MS_MAX} ms`)
      this.#line = line
      return this.#links.size
    },
    refuse: (value: boolean) => {
      this.#refusing = value
      return 0
    },
    reset: (value: Selection) => this.#each(value, (link) => this.#reset(link)),
    halfOpen: (value: Selection & { direction?: 'down' | 'up' | 'both' }) =>
      this.#each(value, (link) => {
        const direction = value.direction ?? 'both'
        if (direction !== 'up') link.down.discard()
        if (direction !== 'down') link.up.discard()
        this.#counts.halfOpened += 1
      }),
    truncate: (value: Selection & { bytes?: number }) =>
      this.#each(value, (link) => {
        link.down.truncateAfter(value.bytes ?? between(this.#choose, 1, TRUNCATE_BYTES_MAX))
        this.#counts.truncated += 1
      }),
    heal: () => {
      this.#line = GOOD_LINE
      this.#refusing = false
      const dead = [...this.#links].filter(
        ({ kind, up, down }) => kind === 'http' && (up.discarding || down.discarding),
      )
      for (const link of dead) this.#reset(link)
      return dead.length
    },
  }

  endAll(): void {
    for (const { client } of this.#links) client.destroy()
  }

  #each({ kind, share = 1 }: Selection, hit: (link: Link) => void): number {
    const chosen = [...this.#links].filter((link) => {
      return (kind === undefined || link.kind === kind) && this.#choose() < share
    })
    for (const link of chosen) hit(link)
    return chosen.length
  }

  #reset({ client, upstream }: Link): void {
    this.#counts.resets += 1
    client.resetAndDestroy()
    upstream.resetAndDestroy()
  }
}
