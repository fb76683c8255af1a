import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { assert } from '../core/errors.ts'
import { type Disk, realDisk } from './disk.ts'
import { manifestPath } from './layout.ts'
import { Manifest } from './manifest.ts'
import type { ReportLevel, WriterData, WriterReply, WriterRequest } from './protocol.ts'
import { cutUnaccepted, nextBoot, repair } from './repair.ts'
import { SegmentWriter } from './segment-writer.ts'
import { WriterLoop } from './writer-loop.ts'

/**
 * The thread that owns the tape's files. Everything in it is synchronous: nothing else in the process can hold it up.
 *
 *   packs ──► lines ──► one write, one sync ──► accepted
 *                          └──failure──► failed ──retry──► accepted, or failed again
 */

const port = parentPort
assert(port !== null, 'the tape writer runs in a thread of its own')
await start(port, workerData as WriterData)

async function start(port: MessagePort, data: WriterData): Promise<void> {
  const post = (reply: WriterReply, transfer: ArrayBuffer[] = []) => port.postMessage(reply, transfer)
  const report = (level: ReportLevel, context: Readonly<Record<string, unknown>>, message: string) =>
    post({ type: 'report', level, context, message })
  const disk = await loadDisk(data)
  disk.makeFolder(data.root)
  const manifest = new Manifest(manifestPath(data.root), disk)
  if (data.goOnAfter !== null) cutUnaccepted(data.root, disk, manifest, data.goOnAfter.end)
  const { segments, damagedLines } = repair(data.root, disk, manifest, report)
  const boot = nextBoot(data.root, disk, manifest)
  const writer = new SegmentWriter({
    root: data.root,
    boot,
    disk,
    manifest,
    segmentBytes: data.segmentBytes,
    segmentMs: data.segmentMs,
    onOpened: (segment) => post({ type: 'opened', segment }),
    onClosed: (segment) => post({ type: 'closed', segment }),
  })
  const deleted = [...manifest.entries].filter(([, entry]) => entry.deleted !== null).map(([name]) => name)
  const loop = new WriterLoop(port, writer, post, { root: data.root, disk, manifest })
  port.on('message', (request: WriterRequest) => loop.take(request))
  post({ type: 'ready', boot, segments, damagedLines, deleted })
}

async function loadDisk(data: WriterData): Promise<Disk> {
  if (data.diskModule === null) return realDisk
  const module = (await import(data.diskModule)) as { createDisk(options: unknown): Disk }
  return module.createDisk(data.diskOptions)
}
