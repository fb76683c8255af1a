import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ComponentChild } from 'preact'
import { RequestError } from '../src/data/request.ts'
import { type Answers, Stage, stage } from './support.tsx'

export interface CardCase {
  readonly name: string
  readonly element: ComponentChild
  /** An answer, what the card shows of it, and what of the next one. */
  readonly path: string
  readonly good: unknown
  readonly shows: readonly RegExp[]
  readonly next: unknown
  readonly showsNext: RegExp
  /** null: it is never empty. */
  readonly empty: unknown
  readonly showsEmpty: RegExp | null
}

/** Every card in every state that the connection and the data can be in. */
export function describeCard(card: CardCase): void {
  const { name, element, path, good, shows, next, showsNext, empty, showsEmpty } = card
  describe(name, () => {
    const answers: Answers = { [path]: good }
    test('while it loads', async () => {
      const one = new Stage(answers)
      one.silent = true
      await one.show(element)
      assert.match(one.text, /Loading /)
      one.end()
    })
    test('with data, then with newer data', () =>
      stage(answers, element, async (page) => {
        for (const pattern of shows) assert.match(page.text, pattern)
        page.answers = { [path]: next }
        await page.pass(10_000)
        assert.match(page.text, showsNext)
      }))
    if (showsEmpty !== null) {
      test('with nothing to show', () =>
        stage({ [path]: empty }, element, async (page) => assert.match(page.text, showsEmpty)))
    }
    test('when the API refuses', async () => {
      const one = new Stage(answers)
      one.failure = new RequestError(503, 'the ledger is unavailable')
      await one.show(element)
      assert.match(one.text, /Could not be loaded\. the ledger is unavailable/)
      one.end()
    })
    test('when nobody answers, from the beginning', async () => {
      const one = new Stage(answers)
      one.failure = new RequestError(0, 'Tapekeeper does not answer')
      await one.show(element)
      assert.match(one.text, /No connection\. Tapekeeper does not answer/)
      one.end()
    })
    test('when the connection is lost: data stays, says since when, and nothing is green', () =>
      stage(answers, element, async (page) => {
        page.failure = new RequestError(0, 'Tapekeeper does not answer')
        await page.pass(10_000)
        assert.doesNotMatch(page.text, /Last seen/) // one missed poll is nothing
        await page.pass(10_000)
        assert.match(page.text, /Last seen .*, 20 s ago: Tapekeeper does not answer/)
        assert.equal(page.all('.state-good, .age-good').length, 0)
        page.failure = null
        await page.pass(10_000)
        assert.doesNotMatch(page.text, /Last seen/)
      }))
  })
}
