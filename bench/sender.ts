import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import { messageStarts } from './frames.ts'

/**
 * The sending side, in a process of its own: hands out the prepared bytes of a frame file as fast as the receiver takes
 * them. `/data` is the market channel; on `/control` the receiver says up to which frame it may be sent.
 */
const CHUNK_BYTES = 256 * 1024

const path = process.argv[2] ?? ''
const bytes = readFileSync(path)
const starts = messageStarts(bytes)

let data: Duplex | null = null
let next = 0
let allowed = 0
let draining = false

function pump(): void {
  while (data !== null && !draining && next < allowed) {
    let end = next
    while (end < allowed && at(end) - at(next) < CHUNK_BYTES) end += 1
    const chunk = bytes.subarray(at(next), at(end))
    next = end
    draining = !data.write(chunk)
  }
}

function at(frame: number): number {
  return starts[frame] ?? bytes.length
}

const server = createServer()
const sockets = new WebSocketServer({ server, perMessageDeflate: false })
sockets.on('connection', (socket, request) => {
  socket.on('error', () => {})
  if (request.url === '/control') {
    socket.on('message', (text: Buffer) => {
      allowed = Math.min(Number(text.toString()), starts.length - 1)
      pump()
    })
    return
  }
  // Each data connection is told everything from the start. The bytes are messages already, so they bypass `ws`.
  const channel = request.socket
  data = channel
  next = 0
  allowed = 0
  draining = false
  channel.on('drain', () => {
    draining = false
    pump()
  })
  socket.on('close', () => {
    if (data === channel) data = null
  })
})
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`)
})
process.stdin.once('end', () => process.exit(0))
process.stdin.resume()
