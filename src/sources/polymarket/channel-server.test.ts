/** A market channel on loopback that does what a test tells it to. No tests here. */
import { type WebSocket, WebSocketServer } from 'ws'

export interface ChannelClient {
  readonly socket: WebSocket
  readonly number: number
  /** Everything the client sent, in order. */
  readonly sent: string[]
  readonly ids: Set<string>
  closed: boolean
}

export interface ChannelServer {
  readonly url: string
  readonly clients: readonly ChannelClient[]
  /** Those that are connected. */
  readonly live: readonly ChannelClient[]
  /** Neither PONG nor a book: a peer that is gone without a word. */
  deaf: boolean
  /** PONG and nothing else. */
  frozen: boolean
  /** What a subscription is answered with. */
  dump: (ids: readonly string[]) => string | null
  broadcast(frame: string): void
  /** Called for every frame that a client sends. */
  onText: (client: ChannelClient, text: string) => void
  close(): Promise<void>
}

export async function channelServer(port = 0): Promise<ChannelServer> {
  const sockets = new WebSocketServer({ port, host: '127.0.0.1' })
  await new Promise<void>((resolve) => sockets.once('listening', resolve))
  const address = sockets.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const clients: ChannelClient[] = []
  const server: ChannelServer = {
    url: `ws://127.0.0.1:${address.port}/ws/market`,
    clients,
    get live() {
      return clients.filter((client) => !client.closed)
    },
    deaf: false,
    frozen: false,
    dump: (ids) => `[${ids.map((id) => `{"asset_id":"${id}","event_type":"book"}`).join(',')}]\n`,
    broadcast(frame) {
      for (const client of server.live) client.socket.send(frame)
    },
    onText: () => {},
    close() {
      for (const client of clients) client.socket.terminate()
      return new Promise((resolve) => sockets.close(() => resolve()))
    },
  }
  sockets.on('connection', (socket) => {
    const client: ChannelClient = { socket, number: clients.length + 1, sent: [], ids: new Set(), closed: false }
    clients.push(client)
    socket.on('error', () => {})
    socket.on('close', () => {
      client.closed = true
    })
    socket.on('message', (data) => answer(server, client, data.toString()))
  })
  return server
}

function answer(server: ChannelServer, client: ChannelClient, text: string): void {
  client.sent.push(text)
  server.onText(client, text)
  if (server.deaf) return
  if (text === 'PING') {
    client.socket.send('PONG')
    return
  }
  const message = JSON.parse(text) as { operation?: string; assets_ids: string[] }
  for (const id of message.assets_ids) {
    if (message.operation === 'unsubscribe') client.ids.delete(id)
    else client.ids.add(id)
  }
  const dump = message.operation === 'unsubscribe' || server.frozen ? null : server.dump(message.assets_ids)
  if (dump !== null) client.socket.send(dump)
}
