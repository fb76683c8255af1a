import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readSync, rmSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { gzipSync } from 'node:zlib'
import { assert, describeError } from '../core/errors.ts'
import { realDisk } from './disk.ts'
import { compressedPath, plainPath, TEMPORARY } from './layout.ts'
import type { CompressReply, CompressRequest } from './protocol.ts'

/** The thread that compresses closed segments, one at a time, when nobody needs the processor more. */

/** A gzip member per chunk: any tool reads the members as one stream, and memory stays flat. */
const CHUNK_BYTES = 1 << 20

const port = parentPort
assert(port !== null, 'the tape compressor runs in a thread of its own')
lowerPriority()
port.on('message', (request: CompressRequest) => port.postMessage(compress(request)))

function compress({ root, segment, bytes, sha256: expected }: CompressRequest): CompressReply {
  const temporary = compressedPath(root, segment) + TEMPORARY
  try {
    const written = write(plainPath(root, segment), temporary, bytes)
    if (expected !== null && written.sha256 !== expected) {
      discard(temporary)
      return { ok: false, final: true, trouble: 'its content is not what was recorded when it was closed' }
    }
    realDisk.rename(temporary, compressedPath(root, segment))
    return { ok: true, ...written }
  } catch (error) {
    discard(temporary)
    return { ok: false, final: false, trouble: describeError(error) }
  }
}

function discard(path: string): void {
  try {
    rmSync(path, { force: true })
  } catch {
    // The next attempt writes over it, or the next start removes it.
  }
}

interface Written {
  readonly sha256: string
  readonly gzSha256: string
  readonly gzBytes: number
}

function write(from: string, to: string, bytes: number): Written {
  const content = createHash('sha256')
  const compressed = createHash('sha256')
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  let gzBytes = 0
  const source = openSync(from, 'r')
  const target = openSync(to, 'w', 0o640)
  try {
    for (let done = 0; done < bytes; ) {
      const length = readSync(source, chunk, 0, Math.min(CHUNK_BYTES, bytes - done), done)
      if (length === 0) throw new Error(`${from} ends after ${done} of ${bytes} bytes`)
      const plain = chunk.subarray(0, length)
      const member = gzipSync(plain)
      content.update(plain)
      compressed.update(member)
      realDisk.append(target, member)
      done += length
      gzBytes += member.length
    }
    fsyncSync(target)
  } finally {
    closeSync(source)
    closeSync(target)
  }
  return { sha256: content.digest('hex'), gzSha256: compressed.digest('hex'), gzBytes }
}

/** On Linux 0 means this thread; elsewhere it would mean the whole process. */
function lowerPriority(): void {
  if (process.platform !== 'linux') return
  try {
    setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL)
  } catch {
    // Not allowed here: the compressor then competes like any other thread.
  }
}
