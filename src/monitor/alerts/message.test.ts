import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cutText } from './message.ts'

test('a text is cut between characters, never inside one', () => {
  assert.equal(cutText('abc', 3), 'abc')
  assert.equal(cutText('ab💥', 3), 'ab')
  assert.equal(cutText('ab💥', 4), 'ab💥')
  assert.equal(cutText('💥💥', 1), '')
})
