import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { findFunctions } from './functions.ts'
import { checkFile, checkSources, findCycles } from './rules.ts'
import { blank, references } from './scan.ts'

const problemsOf = (path: string, text: string) => checkFile({ path, text })
/** A body of so many lines. */
const body = (lines: number) => Array.from({ length: lines }, (_, index) => `  call(${index})`).join('\n')

/** What must be found: where, in which file, and what the message says. */
const SEEDED: readonly (readonly [name: string, path: string, text: string, message: RegExp])[] = [
  ['a value import', 'src/core/a.ts', `import { pool } from '../ledger/pool.ts'`, /:1 core must not import ledger/],
  [
    'a type import',
    'src/tape/a.ts',
    `\nimport type { Pool } from '../ledger/pool.ts'`,
    /:2 tape must not import ledger/,
  ],
  [
    'an import over several lines',
    'src/sim/a.ts',
    `import {\n  a,\n} from '../sources/x/a.ts'`,
    /sim must not import sour/,
  ],
  ['a side effect', 'src/runtime/a.ts', `import '../ledger/pool.ts'`, /runtime must not import ledger/],
  ['a re-export', 'src/config/a.ts', `export * from '../runtime/log.ts'`, /config must not import runtime/],
  ['a dynamic import', 'src/tape/a.ts', `const a = await import('../ledger/pool.ts')`, /tape must not import ledger/],
  ['a type by import()', 'src/tape/a.ts', `let a: import('../ledger/pool.ts').Pool`, /tape must not import ledger/],
  ['a computed import', 'src/tape/a.ts', 'await import(name)', /computes what it imports/],
  ['require', 'src/tape/a.ts', `require('../ledger/pool.ts')`, /tape must not import ledger/],
  ['a worker', 'src/tape/a.ts', `new Worker(new URL('../sim/worker.ts', import.meta.url))`, /tape must not import sim/],
  [
    'a worker chosen by a condition',
    'src/tape/a.ts',
    `new URL(built ? '../sim/worker.js' : '../sim/worker.ts', import.meta.url)`,
    /tape must not import sim/,
  ],
  ['the daemon using the sim', 'src/daemon.ts', `import { venue } from './sim/venue.ts'`, /daemon must not import sim/],
  [
    'a source using its sibling',
    'src/sources/a/x.ts',
    `import { y } from '../b/y.ts'`,
    /source a must not .* source b/,
  ],
  [
    'a source using the tape',
    'src/sources/a/x.ts',
    `import { t } from '../../tape/t.ts'`,
    /sources must not import tape/,
  ],
  ['the core using Node', 'src/core/a.ts', `import fs from 'node:fs'`, /core must not import node:fs/],
  ['the program using a test', 'src/cli/a.ts', `import { x } from '../../test/x.ts'`, /src must not import test/],
  ['the page using the ledger', 'dashboard/a.tsx', `import type { T } from '../src/ledger/t.ts'`, /dashboard must not/],
  ['an unknown room', 'src/utils/a.ts', `import { x } from '../core/x.ts'`, /utils must not import core/],
  ['a long file', 'src/core/a.ts', 'x\n'.repeat(401), /401 lines, 400 at most/],
  ['a wide line', 'src/core/a.ts', `// ${'x'.repeat(118)}`, /:1 is 121 wide/],
  ['a long function', 'src/core/a.ts', `function a() {\n${body(69)}\n}`, /:1 is a function of 71 lines/],
  [
    'a long method',
    'src/core/a.ts',
    `class A {\n  a(b: string): void {\n${body(70)}\n  }\n}`,
    /:2 is a function of 72/,
  ],
  ['a long arrow', 'src/core/a.ts', `\nconst a = (b: () => void) => {\n${body(70)}\n}`, /:2 is a function of 72 lines/],
  [
    'a long function that returns an object type',
    'src/core/a.ts',
    `export async function a(\n  b: Map<string, { c: number }>,\n): Promise<{ d: string }> {\n${body(70)}\n}`,
    /:1 is a function of 74 lines/,
  ],
  ['a default export', 'src/core/a.ts', 'export default 1', /default export/],
  ['the clock', 'src/tape/a.ts', 'const now = Date.now()', /reads the clock/],
  ['the clock as a function', 'src/tape/a.ts', 'run({ now: Date.now })', /reads the clock/],
  ['the clock as a date', 'src/tape/a.ts', 'const now = new Date()', /reads the clock/],
  ['the clock as a bare date', 'src/tape/a.ts', 'const now = new Date\n', /reads the clock/],
  ['the clock in a template', 'src/tape/a.ts', `const a = \`at \${Date.now()}\``, /reads the clock/],
  ['dice', 'src/recorder/a.ts', 'Math.random()', /rolls dice/],
  ['the environment', 'src/ledger/a.ts', `process.env['HOME']`, /composition root/],
  ['the end of the process', 'src/ledger/a.ts', 'process.exit(1)', /composition root/],
  ['unfinished work', 'src/cli/a.ts', `// ${'TO'}${'DO'}: later`, /unfinished/],
]

describe('what the tidy test finds', () => {
  for (const [name, path, text, message] of SEEDED) {
    test(name, () => {
      const problems = problemsOf(path, text)
      assert.notEqual(problems.length, 0)
      for (const problem of problems) assert.match(problem, message)
    })
  }

  test('a cycle over types', () => {
    const cycles = findCycles([
      { path: 'src/core/a.ts', text: `import { b } from './b.ts'` },
      { path: 'src/core/b.ts', text: `import { c } from './c.ts'` },
      { path: 'src/core/c.ts', text: `import type { A } from './a.ts'` },
    ])
    assert.deepEqual(cycles, ['src/core/a.ts → src/core/b.ts → src/core/c.ts → src/core/a.ts'])
  })

  test('a source without README or test', () => {
    assert.deepEqual(checkSources(['src/sources/registry.ts', 'src/sources/a/client.ts']), [
      'src/sources/a has no README.md',
      'src/sources/a has no test',
    ])
  })
})

/** What must pass. */
const ALLOWED: readonly (readonly [name: string, path: string, text: string])[] = [
  ['an arrow of the table', 'src/recorder/a.ts', `import { x } from '../tape/x.ts'`],
  ['the command line using everything', 'src/cli/a.ts', `import { x } from '../sim/x.ts'\nimport '../daemon.ts'`],
  [
    'words in comments and strings',
    'src/core/a.ts',
    `// import '../ledger/x.ts', Date.now()\nconst a = 'Math.random()'`,
  ],
  ['an import in a template', 'src/core/a.ts', "const a = `import x from '../ledger/x.ts'`"],
  ['quotes in a regular expression', 'src/core/a.ts', `const a = /['"\`/]/.test(b)\nconst c = d / e`],
  ['a date of something', 'src/core/a.ts', 'const a = new Date(ms).toISOString()'],
  ['the clock where it lives', 'src/runtime/clock.ts', 'const now = Date.now()'],
  ['the environment in a root', 'src/cli/load.ts', 'process.env'],
  ['tests importing anything', 'src/core/a.test.ts', `import { x } from '../ledger/x.ts'\nDate.now()`],
  ['a file beside the sources', 'src/cli/a.ts', `new URL('../../package.json', import.meta.url)`],
  ['a function of 70 lines', 'src/core/a.ts', `function a() {\n${body(68)}\n}`],
  ['a long object', 'src/core/a.ts', `const a = {\n${body(100)}\n}`],
  ['a long class of short methods', 'src/core/a.ts', `class A {\n${'  a() {\n  }\n'.repeat(50)}}`],
  ['a long loop outside of functions', 'src/core/a.ts', `for (const a of b) {\n${body(100)}\n}`],
]

describe('what the tidy test lets pass', () => {
  for (const [name, path, text] of ALLOWED) {
    test(name, () => assert.deepEqual(problemsOf(path, text), []))
  }
})

test('blanking keeps every line and offset', () => {
  const text = `a = '\\'x' /* y\n */ + \`t\${b ? \`u\${c}\` : "v"}w\` // z\nd = /[/]'/g.test(e) / f\n`
  const blanked = blank(text)
  assert.equal(blanked.length, text.length)
  assert.equal(blanked.split('\n').length, text.split('\n').length)
  const [first, second, third] = blanked.split('\n').map((line) => line.replaceAll(/ +/g, ' '))
  assert.equal(first, "a = ' ' ")
  assert.equal(second?.replaceAll('$', ''), ' + ` {b ? ` {c}` : " "} ` ')
  assert.equal(third, 'd = / /g.test(e) / f')
})

test('references have their lines', () => {
  const text = `import a from 'a'\n\nexport type { B } from './b.ts'\n`
  assert.deepEqual(references({ path: 'src/core/x.ts', text }), [
    { specifier: 'a', line: 1 },
    { specifier: './b.ts', line: 3 },
  ])
})

test('functions are told from other braces', () => {
  const text = `if (a) {\n}\nfor await (const b of c) {\n}\ntry {\n} catch (d) {\n}\nf(() => {\n  g({ h: 1 })\n})\n`
  assert.deepEqual(findFunctions(blank(text)), [{ line: 8, lines: 3 }])
})
