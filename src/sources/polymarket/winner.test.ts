import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { parseClobMarket } from './clob-market-parser.ts'
import { parseGammaMarket } from './market-parser.ts'
import { conditionId, market, NO_SAMPLES, sample, tokenId } from './support.test.ts'
import { inferWinner, needsConfirmation, resolutionOf, winnerOfClob } from './winner.ts'

const ENDED = { closed: true, umaResolutionStatus: 'resolved', closedTime: '2026-07-24 00:00:16+00' }
const NOW = '2026-08-01T00:00:00.000Z'

function ended(prices: readonly string[], changes: Record<string, unknown> = {}) {
  return market(1, { ...ENDED, outcomePrices: JSON.stringify(prices), ...changes })
}

function clob(winners: readonly boolean[], changes: Record<string, unknown> = {}) {
  const tokens = winners.map((winner, index) => ({ token_id: tokenId(1, index), outcome: `o${index}`, winner }))
  const row = parseClobMarket({ condition_id: conditionId(1), closed: true, tokens, ...changes })
  assert.ok(row !== null)
  return row
}

describe('the winner rule', () => {
  test('closed, resolved, one price exactly 1', () => {
    assert.deepEqual(inferWinner(ended(['1', '0'])), { kind: 'winner', outcomeIndex: 0 })
    assert.deepEqual(inferWinner(ended(['0', '1'])), { kind: 'winner', outcomeIndex: 1 })
    assert.deepEqual(inferWinner(ended(['0.0', '1.00'])), { kind: 'winner', outcomeIndex: 1 })
    const v2 = { version: 'v2', positionIds: [tokenId(1, 0), tokenId(1, 1)] }
    assert.deepEqual(inferWinner(ended(['0', '1'], { ...v2, resolutionStatus: 'resolved' })), {
      kind: 'winner',
      outcomeIndex: 1,
    })
  })

  test('half and half is a split', () => {
    assert.deepEqual(inferWinner(ended(['0.5', '0.5'])), { kind: 'split' })
    assert.equal(inferWinner(ended(['0.5', '0.50'])).kind, 'split')
  })

  test('anything else is unknown', () => {
    const cases = [
      ended(['1', '0'], { closed: false }),
      ended(['1', '0'], { umaResolutionStatus: 'proposed' }),
      ended(['1', '0'], { umaResolutionStatus: undefined }),
      ended(['0', '0']),
      ended(['1', '1']),
      ended(['0.0000004', '0.9999996']),
      ended(['0.00000000000000000001', '0.99999999999999999999']),
      ended(['0.5843', '0.4157']),
      ended(['0.5', '0.4']),
      ended([]),
    ]
    for (const one of cases) assert.equal(inferWinner(one).kind, 'unknown', JSON.stringify(one.tokens))
  })

  test('a winner always has the one price that is 1, whatever the prices are', () => {
    const price = fc.oneof(fc.constantFrom('1', '0', '0.5', '1.0', '0.9999', '1e0'), fc.double().map(String))
    fc.assert(
      fc.property(price, price, fc.boolean(), fc.constantFrom('resolved', 'proposed'), (a, b, closed, status) => {
        const subject = ended([a, b], { closed, umaResolutionStatus: status })
        const verdict = inferWinner(subject)
        if (verdict.kind !== 'winner') return
        assert.ok(closed && status === 'resolved')
        assert.equal(Number(subject.tokens[verdict.outcomeIndex]?.price), 1)
        assert.notEqual(Number(subject.tokens[1 - verdict.outcomeIndex]?.price), 1)
      }),
      { numRuns: 500, verbose: 1 },
    )
  })

  test('only a resolved market whose prices say nothing, or a split, is asked for at the CLOB', () => {
    assert.equal(needsConfirmation(inferWinner(ended(['1', '0']))), false)
    assert.equal(needsConfirmation(inferWinner(ended(['0', '0']))), true)
    assert.equal(needsConfirmation(inferWinner(ended(['0.5', '0.5']))), true)
    assert.equal(needsConfirmation(inferWinner(ended(['0', '0'], { umaResolutionStatus: 'proposed' }))), false)
    assert.equal(needsConfirmation(inferWinner(ended(['0', '0'], { closed: false }))), false)
  })
})

describe('the CLOB confirms', () => {
  test('one winner, a split, or nothing', () => {
    assert.deepEqual(winnerOfClob(clob([false, true])), { kind: 'winner', outcomeIndex: 1 })
    assert.equal(winnerOfClob(clob([false, false])).kind, 'unknown')
    assert.equal(winnerOfClob(clob([true, true])).kind, 'unknown')
    assert.equal(winnerOfClob(clob([false, true], { closed: false })).kind, 'unknown')
    assert.equal(winnerOfClob(clob([false, false], { is_50_50_outcome: true })).kind, 'split')
    assert.equal(winnerOfClob(clob([false, true], { is_50_50_outcome: true })).kind, 'unknown')
  })

  test('where Gamma is clear its word stands, and the CLOB is named when it agrees', () => {
    const resolved = resolutionOf(ended(['0', '1']), null, NOW)
    assert.deepEqual(resolved, {
      conditionId: conditionId(1),
      result: 'winner',
      outcome: 'No',
      winnerTokenId: tokenId(1, 1),
      payoutPrice: '1',
      resolvedAt: '2026-07-24T00:00:16Z',
      detectionMethod: 'gamma',
    })
    assert.equal(resolutionOf(ended(['0', '1']), clob([false, true]), NOW)?.detectionMethod, 'gamma+clob')
    assert.equal(resolutionOf(ended(['0', '1']), clob([false, false]), NOW)?.detectionMethod, 'gamma')
  })

  test('where Gamma leaves a doubt the CLOB decides, by token and not by position', () => {
    const doubtful = ended(['0.0000004', '0.9999996'])
    const resolved = resolutionOf(doubtful, clob([true, false]), NOW)
    assert.deepEqual([resolved?.winnerTokenId, resolved?.detectionMethod], [tokenId(1, 0), 'clob'])
    const row = clob([true, false])
    const turned = { ...row, tokens: [...row.tokens].reverse() }
    assert.equal(resolutionOf(doubtful, turned, NOW)?.outcome, 'Yes')
    assert.equal(resolutionOf(doubtful, null, NOW), null)
    assert.equal(resolutionOf(doubtful, clob([false, false]), NOW), null)
  })

  test('a split pays one half and has no winner', () => {
    const resolved = resolutionOf(ended(['0.5', '0.5']), clob([false, false], { is_50_50_outcome: true }), NOW)
    assert.equal(resolved?.result, 'split')
    assert.equal(resolved?.payoutPrice, '0.5')
    assert.equal(resolved?.winnerTokenId, null)
    assert.equal(resolved?.outcome, null)
    assert.equal(resolved?.detectionMethod, 'gamma+clob')
  })

  test('where the two contradict each other nobody has won', () => {
    assert.equal(resolutionOf(ended(['0', '1']), clob([true, false]), NOW), null)
    assert.equal(resolutionOf(ended(['0.5', '0.5']), clob([true, false]), NOW), null)
  })

  test('a market that is not closed and resolved stays unknown whatever the CLOB says', () => {
    assert.equal(resolutionOf(ended(['0', '1'], { umaResolutionStatus: 'proposed' }), clob([false, true]), NOW), null)
  })

  test('without a closing time the time of detection counts', () => {
    assert.equal(resolutionOf(ended(['0', '1'], { closedTime: undefined }), null, NOW)?.resolvedAt, NOW)
  })
})

describe('recorded markets', { skip: NO_SAMPLES }, () => {
  const read = (text: string) => {
    const parsed = parseGammaMarket(JSON.parse(text))
    assert.ok(parsed.ok)
    return parsed.market
  }

  test('all 146 closed ones have a winner', () => {
    const rows = sample('gamma/closed-markets-2026-07-24.jsonl').trim().split('\n').map(read)
    const winners = rows.map((one) => resolutionOf(one, null, NOW)).filter((end) => end?.result === 'winner')
    assert.equal(winners.length, 146)
  })

  test('the legacy non-binary one stays unknown', () => {
    const legacy = read(sample('gamma/gamma_market_closed_nonbinary_legacy.json'))
    assert.equal(inferWinner(legacy).kind, 'unknown')
    assert.equal(needsConfirmation(inferWinner(legacy)), false)
  })

  test('the CLOB page holds 24 winners', () => {
    const page = JSON.parse(sample('clob/markets-page.json')) as { data: unknown[] }
    const rows = page.data.map(parseClobMarket)
    assert.equal(rows.filter((row) => row === null).length, 0)
    assert.equal(rows.filter((row) => row !== null && winnerOfClob(row).kind === 'winner').length, 24)
  })
})
