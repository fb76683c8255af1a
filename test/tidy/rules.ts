import { posix } from 'node:path'
import { findFunctions } from './functions.ts'
import { blank, lineAt, references, resolveReference, type SourceFile } from './scan.ts'

/** Who may import whom: DESIGN's table as data. A room may always import itself. */
const EVERYTHING = ['core', 'config', 'runtime', 'tape', 'ledger', 'recorder', 'sources', 'portfolio', 'monitor', 'api']
export const IMPORT_TABLE: Readonly<Record<string, readonly string[]>> = {
  core: [],
  config: ['core'],
  runtime: ['core'],
  tape: ['core'],
  portfolio: ['core'],
  ledger: ['core', 'runtime'],
  sources: ['core', 'runtime'],
  recorder: ['core', 'runtime', 'tape', 'ledger'],
  monitor: ['core', 'runtime', 'ledger'],
  sim: ['core', 'runtime'],
  api: ['core', 'config', 'runtime', 'ledger', 'monitor', 'portfolio'],
  cli: [...EVERYTHING, 'sim', 'daemon'],
  daemon: [...EVERYTHING, 'cli'],
}
/** The only thing the page may see of the program. */
const PAGE_CONTRACT = 'src/api/contract.ts'

export const TOP_LEVEL_FOLDERS = ['src', 'dashboard', 'test', 'bench', 'deploy', 'docs', 'bin', '.ci']
const FILE_LINES_MAX = 400
const FUNCTION_LINES_MAX = 70
const LINE_LENGTH_MAX = 120

/** Where a process may be looked at or ended: the composition roots, and the servers of the tests. */
const PROCESS_ROOTS = [/^src\/cli\//, /^src\/daemon\.ts$/, /^src\/sim\/main\.ts$/, /^src\/ledger\/test-server\.ts$/]
/** Tests hand the tape's writer thread a disk that fails, by the name of a module. */
const COMPUTED_IMPORTS = ['src/tape/writer-worker.ts']
const CLOCK_ROOM = /^src\/runtime\//
const UNFINISHED = new RegExp(`\\b(?:${['FIX', 'TO'].map((start, at) => start + ['ME', 'DO'][at]).join('|')}|X{3})\\b`)

export const isTest = (path: string) => path.endsWith('.test.ts') || path.startsWith('test/')
export const isSource = (path: string) => /^src\/.*\.ts$/.test(path) && !isTest(path)

/** `src/ledger/pool.ts` → `ledger`, `src/daemon.ts` → `daemon`, `dashboard/…` → `dashboard`. */
export function roomOf(path: string): string | null {
  const [top, second] = path.split('/')
  if (top === 'dashboard') return 'dashboard'
  return top === 'src' && second !== undefined ? second.replace(/\.[tj]s$/, '') : null
}

/** What is wrong with one file, one line each: `path:line what`. */
export function checkFile(file: SourceFile): readonly string[] {
  const code = blank(file.text)
  const problems = [...checkSize(file, code), ...checkText(file, code)]
  if (!isTest(file.path)) problems.push(...checkArrows(file))
  return problems
}

function checkSize(file: SourceFile, code: string): string[] {
  const problems: string[] = []
  const lines = file.text.replace(/\n$/, '').split('\n')
  if (lines.length > FILE_LINES_MAX)
    problems.push(`${file.path}:1 has ${lines.length} lines, ${FILE_LINES_MAX} at most`)
  lines.forEach((line, index) => {
    const length = [...line].length
    if (length > LINE_LENGTH_MAX)
      problems.push(`${file.path}:${index + 1} is ${length} wide, ${LINE_LENGTH_MAX} at most`)
  })
  if (isTest(file.path)) return problems
  for (const found of findFunctions(code)) {
    if (found.lines <= FUNCTION_LINES_MAX) continue
    problems.push(`${file.path}:${found.line} is a function of ${found.lines} lines, ${FUNCTION_LINES_MAX} at most`)
  }
  return problems
}

function checkText(file: SourceFile, code: string): string[] {
  const problems: string[] = []
  const ban = (pattern: RegExp, what: string, text = code) => {
    const all = new RegExp(pattern.source, 'g')
    for (const match of text.matchAll(all)) problems.push(`${file.path}:${lineAt(text, match.index)} ${what}`)
  }
  ban(UNFINISHED, 'is unfinished', file.text)
  ban(/\bexport\s+default\b|\bas\s+default\b/, 'is a default export')
  if (!isSource(file.path)) return problems
  if (!CLOCK_ROOM.test(file.path)) {
    ban(/\bDate\s*\.\s*now\b|\bnew\s+Date\b(?:\(\s*\)|(?!\s*\())/, 'reads the clock: take a Clock')
    ban(/\bMath\s*\.\s*random\b/, 'rolls dice: take a Random')
  }
  if (!PROCESS_ROOTS.some((root) => root.test(file.path))) {
    ban(/\bprocess\s*\.\s*(?:env|exit|exitCode|argv)\b/, 'belongs in a composition root')
  }
  return problems
}

function checkArrows(file: SourceFile): string[] {
  const room = roomOf(file.path)
  if (room === null) return []
  return references(file).flatMap(({ specifier, line }) => {
    const target = resolveReference(file, specifier)
    const reason = target === null ? checkPackage(file.path, room, specifier) : checkArrow(file.path, room, target)
    return reason === null ? [] : [`${file.path}:${line} ${reason}`]
  })
}

function checkPackage(from: string, room: string, specifier: string): string | null {
  if (specifier === '(computed)') return COMPUTED_IMPORTS.includes(from) ? null : 'computes what it imports'
  return room === 'core' ? `core must not import ${specifier}` : null
}

function checkArrow(from: string, room: string, target: string): string | null {
  const other = roomOf(target)
  if (room === 'dashboard') {
    return other === 'dashboard' || target === PAGE_CONTRACT ? null : `dashboard must not import ${target}`
  }
  if (other === null) return /^(?:test|bench|bin|dashboard)\//.test(target) ? `src must not import ${target}` : null
  if (other !== room) {
    return IMPORT_TABLE[room]?.includes(other) ? null : `${room} must not import ${other} (${target})`
  }
  const [source, sibling] = [from.split('/'), target.split('/')]
  const strangers = room === 'sources' && source.length > 3 && sibling.length > 3 && source[2] !== sibling[2]
  return strangers ? `the source ${source[2]} must not import the source ${sibling[2]}` : null
}

/** Cycles between files, type imports included: one line per cycle found. */
export function findCycles(files: readonly SourceFile[]): readonly string[] {
  const known = new Set(files.map((file) => file.path))
  const edges = new Map(
    files.map((file) => [
      file.path,
      references(file)
        .map(({ specifier }) => resolveReference(file, specifier))
        .filter((target): target is string => target !== null && known.has(target)),
    ]),
  )
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (path: string, trail: readonly string[]) => {
    const at = trail.indexOf(path)
    if (at >= 0) {
      const cycle = [...trail.slice(at), path]
      if (cycle.length > 2) cycles.push(cycle.join(' → '))
      return
    }
    if (done.has(path)) return
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path])
    done.add(path)
  }
  for (const path of edges.keys()) visit(path, [])
  return cycles
}

/** What is missing in the folder of a source: `paths` are all files of the repository. */
export function checkSources(paths: readonly string[]): readonly string[] {
  const inside = paths.filter((path) => /^src\/sources\/[^/]+\//.test(path))
  const folders = [...new Set(inside.map((path) => path.split('/').slice(0, 3).join('/')))]
  return folders.flatMap((folder) => {
    const names = inside.filter((path) => path.startsWith(`${folder}/`)).map((path) => posix.basename(path))
    const problems: string[] = []
    if (!names.includes('README.md')) problems.push(`${folder} has no README.md`)
    if (!names.some((name) => name.endsWith('.test.ts'))) problems.push(`${folder} has no test`)
    return problems
  })
}
