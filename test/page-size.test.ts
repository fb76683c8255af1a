import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { ROOT } from './support/processes.ts'

const ENTRY_BYTES_MAX = 100_000
const STYLES_BYTES_MAX = 15_000

/** What is loaded before anything is seen, compressed as it would travel. */
test('the page is small, and its charts are loaded when they are needed', () => {
  const folder = join(ROOT, 'dist', 'dashboard')
  const html = readFileSync(join(folder, 'index.html'), 'utf8')
  const sizeOf = (path: string) => gzipSync(readFileSync(join(folder, path))).length
  const [, script = ''] = /<script[^>]* src="([^"]+)"/.exec(html) ?? []
  const [, styles = ''] = /<link rel="stylesheet"[^>]* href="([^"]+)"/.exec(html) ?? []
  assert.ok(sizeOf(script) <= ENTRY_BYTES_MAX, `${script}: ${sizeOf(script)} bytes`)
  assert.ok(sizeOf(styles) <= STYLES_BYTES_MAX, `${styles}: ${sizeOf(styles)} bytes`)
  assert.doesNotMatch(readFileSync(join(folder, script), 'utf8'), /uplot|u-legend/)
  assert.ok(readdirSync(join(folder, 'assets')).some((name) => /^chart-.*\.js$/.test(name)))
  assert.doesNotMatch(html, /<script>|<style|https?:/)
})
