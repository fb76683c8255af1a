import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { configurationReference, environmentExample } from './reference.ts'

test('docs/configuration.md is what the schema says', () => {
  const written = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8')
  assert.equal(written, configurationReference(), 'run: tapekeeper config --reference > docs/configuration.md')
})

test('deploy/environment.example is what the schema says, and nothing in it is set', () => {
  const written = readFileSync(new URL('../../deploy/environment.example', import.meta.url), 'utf8')
  assert.equal(written, environmentExample(), 'run: tapekeeper config --environment > deploy/environment.example')
  assert.deepEqual(
    written.split('\n').filter((line) => line !== '' && !line.startsWith('#')),
    [],
  )
})
