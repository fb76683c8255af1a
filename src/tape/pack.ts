/**
 * What crosses from the thread that receives to the thread that writes: many records in one buffer.
 * A record is [at: float64][payload length: uint32][connection: uint16][kind: uint16] and its payload.
 */
const HEADER = 16
/** The connection is an index of 16 bits. */
const MAX_CONNECTIONS = 65_535

const FRAME = 0
const MARK = 1

/** A pack as it is sent: the buffer is transferred. */
export interface PackMessage {
  readonly buffer: ArrayBuffer
  readonly used: number
  readonly connections: readonly string[]
}

/** Filled record by record, sent, and filled again when its buffer comes back. */
export class Pack {
  readonly capacity: number
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #connections: string[] = []
  readonly #indexes = new Map<string, number>()
  #lastConnection: string | null = null
  #lastIndex = 0
  #used = 0

  constructor(buffer: ArrayBuffer) {
    this.capacity = buffer.byteLength
    this.#bytes = new Uint8Array(buffer)
    this.#view = new DataView(buffer)
  }

  get used(): number {
    return this.#used
  }

  fits(payloadLength: number): boolean {
    return this.#used + HEADER + payloadLength <= this.capacity && this.#connections.length < MAX_CONNECTIONS
  }

  addFrame(connection: string, atUs: number, payload: Uint8Array): void {
    this.#add(FRAME, connection, atUs, payload)
  }

  /** `payload` is the mark, a line break, and the detail as JSON. */
  addMark(connection: string, atUs: number, payload: Uint8Array): void {
    this.#add(MARK, connection, atUs, payload)
  }

  /** The pack is spent afterwards. */
  message(): PackMessage {
    return { buffer: this.#bytes.buffer as ArrayBuffer, used: this.#used, connections: this.#connections }
  }

  #add(kind: number, connection: string, atUs: number, payload: Uint8Array): void {
    if (connection !== this.#lastConnection) this.#select(connection)
    const at = this.#used
    this.#view.setFloat64(at, atUs, true)
    this.#view.setUint32(at + 8, payload.length, true)
    this.#view.setUint16(at + 12, this.#lastIndex, true)
    this.#view.setUint16(at + 14, kind, true)
    this.#bytes.set(payload, at + HEADER)
    this.#used = at + HEADER + payload.length
  }

  #select(connection: string): void {
    let index = this.#indexes.get(connection)
    if (index === undefined) {
      index = this.#connections.push(connection) - 1
      this.#indexes.set(connection, index)
    }
    this.#lastConnection = connection
    this.#lastIndex = index
  }
}

/** The smallest buffer that takes a payload of this length. */
export function packBytesFor(payloadLength: number): number {
  return HEADER + payloadLength
}

export interface PackVisitor {
  frame(atUs: number, connection: number, payload: Uint8Array): void
  mark(atUs: number, connection: number, mark: string, detail: string): void
}

/** Hands the pack's records over in order; `connection` is an index of the message's connections. */
export function readPack(message: PackMessage, visitor: PackVisitor): void {
  const bytes = new Uint8Array(message.buffer)
  const view = new DataView(message.buffer)
  for (let at = 0; at < message.used; ) {
    const atUs = view.getFloat64(at, true)
    const length = view.getUint32(at + 8, true)
    const connection = view.getUint16(at + 12, true)
    const kind = view.getUint16(at + 14, true)
    const payload = bytes.subarray(at + HEADER, at + HEADER + length)
    if (kind === FRAME) visitor.frame(atUs, connection, payload)
    else {
      const [mark = '', detail = '{}'] = Buffer.from(payload).toString().split('\n', 2)
      visitor.mark(atUs, connection, mark, detail)
    }
    at += HEADER + length
  }
}
