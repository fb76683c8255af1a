import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'

export interface Received {
  readonly method: string
  readonly path: string
  readonly contentType: string
  readonly body: string
}

/** Stands for Slack, Telegram, Sentry, Healthchecks or a webhook: keeps what it is sent and answers as it is told. */
export class Receiver {
  readonly received: Received[] = []
  /** Everything that was asked, refused or not. */
  asked = 0
  status = 200
  answer = 'ok'
  headers: Record<string, string> = {}
  readonly #server: Server
  readonly #waiting: (() => void)[] = []

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(): Promise<Receiver> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        receiver.#take({
          method: request.method ?? '',
          path: request.url ?? '',
          contentType: request.headers['content-type'] ?? '',
          body: Buffer.concat(chunks).toString('utf8'),
        })
        response.writeHead(receiver.status, receiver.headers).end(receiver.answer)
      })
    })
    const receiver: Receiver = new Receiver(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return receiver
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get bodies(): unknown[] {
    return this.received.map(({ body }) => JSON.parse(body))
  }

  /** Resolves when so many requests have been asked, taken or refused. */
  async untilAsked(count: number): Promise<void> {
    while (this.asked < count) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #take(request: Received): void {
    this.asked += 1
    if (this.status < 300) this.received.push(request)
    for (const wake of this.#waiting.splice(0)) wake()
  }
}

export interface Mail {
  readonly from: string
  readonly to: readonly string[]
  readonly text: string
}

/** A mail server on this machine; `busy` refuses everything for the time being. */
export class MailReceiver {
  readonly mails: Mail[] = []
  busy = false
  readonly #server: SMTPServer
  readonly #waiting: (() => void)[] = []

  private constructor(server: SMTPServer) {
    this.#server = server
  }

  static async start(): Promise<MailReceiver> {
    const server = new SMTPServer({
      disabledCommands: ['STARTTLS'],
      onAuth: ({ username, password }, _session, done) =>
        username === 'me' && password === 'letmein' ? done(null, { user: 'me' }) : done(new Error('who are you')),
      onMailFrom: (_address, _session, done) =>
        receiver.busy ? done(Object.assign(new Error('try again later'), { responseCode: 451 })) : done(),
      onData(stream, session, done) {
        const chunks: Buffer[] = []
        stream.on('data', (chunk: Buffer) => chunks.push(chunk))
        stream.on('end', () => {
          const { mailFrom, rcptTo } = session.envelope
          const from = mailFrom === false ? '' : (mailFrom?.address ?? '')
          const to = rcptTo.map(({ address }) => address)
          receiver.mails.push({ from, to, text: Buffer.concat(chunks).toString('utf8') })
          done()
          for (const wake of receiver.#waiting.splice(0)) wake()
        })
      },
    })
    server.on('error', () => undefined) // a client that hangs up
    const receiver: MailReceiver = new MailReceiver(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
    return receiver
  }

  get url(): string {
    return `smtp://me:letmein@127.0.0.1:${(this.#server.server.address() as AddressInfo).port}`
  }

  async untilMails(count: number): Promise<void> {
    while (this.mails.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }
}
