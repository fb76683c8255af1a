import { once } from 'node:events'
import { type WebSocket, WebSocketServer } from 'ws'

/** One connection of a recorder, and every frame that it was given. */
export interface ChannelConnection {
  readonly socket: WebSocket
  /** What was sent as data, in order; heartbeats are not among it. */
  readonly sent: Buffer[]
  readonly closed: Promise<void>
  isOpen: boolean
}

/** A market channel on loopback that sends what a test tells it to; else it behaves: PONGs, books when asked. */
export interface Channel {
  readonly url: string
  readonly connections: readonly ChannelConnection[]
  close(): Promise<void>
}

export async function startChannel(): Promise<Channel> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const connections: ChannelConnection[] = []
  server.on('connection', (socket) => {
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    const connection: ChannelConnection = { socket, sent: [], closed, isOpen: true }
    connections.push(connection)
    void closed.then(() => {
      connection.isOpen = false
    })
    socket.on('error', () => undefined)
    socket.on('message', (data) => answer(connection, String(data)))
  })
  return {
    url: `ws://127.0.0.1:${port}/ws/market`,
    connections,
    async close() {
      for (const { socket } of connections) socket.terminate()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Sends one frame; resolves when the socket has taken it. What is not UTF-8 can only be sent as binary. */
export async function sendFrame(connection: ChannelConnection, payload: Buffer, binary: boolean): Promise<void> {
  connection.sent.push(payload)
  await new Promise<void>((resolve, reject) => {
    connection.socket.send(payload, { binary }, (error) => (error ? reject(error) : resolve()))
  })
}

function answer(connection: ChannelConnection, text: string): void {
  if (text === 'PING') {
    connection.socket.send('PONG')
    return
  }
  const { operation, assets_ids: ids } = JSON.parse(text) as { operation?: string; assets_ids: string[] }
  if (operation === 'unsubscribe') return
  const books = ids.map((id) => ({
    market: `0x${'0'.repeat(64)}`,
    asset_id: id,
    timestamp: String(Date.now()),
    hash: '0'.repeat(40),
    bids: [],
    asks: [],
    event_type: 'book',
  }))
  void sendFrame(connection, Buffer.from(`${JSON.stringify(books)}\n`), false).catch(() => undefined)
}
