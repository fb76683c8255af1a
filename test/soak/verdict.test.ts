import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'
import { judge, type Sample, trendOf } from './verdict.ts'

const random = seededRandom(3)
const noise = (width: number) => (random() - 0.5) * width

function samples(change: (minute: number) => Partial<Sample> = () => ({})): Sample[] {
  return Array.from({ length: 360 }, (_, index) => {
    const seconds = index * 5
    return {
      ...{
        seconds,
        rssMb: 200 + noise(30),
        heapMb: 60,
        descriptors: 50 + noise(4),
        threads: 15,
        timers: 20 + noise(6),
      },
      ...{ handles: 30 + noise(6), frames: seconds * 5_000, queueDepth: 0, tokens: 4_000, load: 2 },
      ...change(seconds / 60),
    }
  })
}

const verdict = (all: readonly Sample[]) => judge(all, 300, 5_000).problems

describe('the verdict of a soak', () => {
  test('least squares', () => {
    const trend = trendOf([
      [0, 1],
      [1, 3],
      [2, 5],
    ])
    assert.deepEqual(trend, { mean: 3, max: 5, perMinute: 2 })
  })

  test('what wanders passes, also when it grew while warming up', () => {
    assert.deepEqual(verdict(samples()), [])
    assert.deepEqual(verdict(samples((minute) => ({ rssMb: 100 + Math.min(minute, 5) * 30 + noise(20) }))), [])
  })

  test('what grows is found', () => {
    assert.match(
      String(verdict(samples((minute) => ({ rssMb: 200 + minute * 1.3 + noise(30) })))),
      /RSS grows by 1\.\d/,
    )
    for (const name of ['descriptors', 'timers', 'handles', 'threads'] as const) {
      const found = verdict(samples((minute) => ({ [name]: 20 + minute * 0.3 + noise(6) })))
      assert.equal(found.length, 1)
      assert.match(String(found), new RegExp(`^${name} grow`))
    }
  })

  test('a feed that did not come proves nothing', () => {
    const slow = samples().map((sample) => ({ ...sample, frames: sample.seconds * 3_000 }))
    assert.match(String(verdict(slow)), /too little of a feed/)
  })
})
