import { describeError } from '../core/errors.ts'
import type { Disk } from './disk.ts'
import { compareSegments, compressedPath, parseSegmentName, plainPath, type SegmentName } from './layout.ts'
import type { ClosedEvent, DeletedEvent, Manifest } from './manifest.ts'
import type { RetentionResult, RetentionRule } from './protocol.ts'

interface Stored extends SegmentName {
  readonly closed: ClosedEvent
  readonly diskBytes: number
}

/**
 * Deletes the oldest segments by age and total size; `openBytes` is the size of the one being written.
 * Never touches the segment that the ledger is reading, nor any after it.
 */
export function retain(
  root: string,
  disk: Disk,
  manifest: Manifest,
  rule: RetentionRule,
  openBytes: number,
  onDeleted: (segment: string) => void,
): RetentionResult {
  const stored = storedSegments(manifest)
  const taken = parseSegmentName(rule.taken)
  const result = { segments: 0, bytes: 0 }
  if (taken === null) return { ...result, trouble: `not a segment: ${rule.taken}` }
  let total = stored.reduce((sum, segment) => sum + segment.diskBytes, openBytes)
  for (const segment of stored) {
    const reason = whyDelete(segment, total, rule)
    if (reason === null || compareSegments(segment, taken) >= 0) break
    try {
      // First the line, then the file: after a crash in between, the next start removes the file.
      manifest.append({ event: 'deleted', segment: segment.name, reason })
      onDeleted(segment.name)
      disk.remove(plainPath(root, segment.name))
      disk.remove(compressedPath(root, segment.name))
    } catch (error) {
      return { ...result, trouble: describeError(error) }
    }
    total -= segment.diskBytes
    result.segments += 1
    result.bytes += segment.diskBytes
  }
  return { ...result, trouble: null }
}

function whyDelete(segment: Stored, total: number, rule: RetentionRule): DeletedEvent['reason'] | null {
  if (total > rule.maxBytes) return 'size'
  const lastAtUs = segment.closed.last_at
  return lastAtUs !== null && rule.nowUs - lastAtUs > rule.maxAgeMs * 1000 ? 'age' : null
}

function storedSegments(manifest: Manifest): Stored[] {
  const stored: Stored[] = []
  for (const [name, { closed, compressed, deleted }] of manifest.entries) {
    const parsed = parseSegmentName(name)
    if (parsed === null || closed === null || deleted !== null) continue
    stored.push({ ...parsed, closed, diskBytes: compressed?.gz_bytes ?? closed.bytes })
  }
  return stored.sort(compareSegments)
}
