import { existsSync, readdirSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import { OPEN } from './access.ts'

const FILES_MAX = 500
const HASHED_NAME = /[.-][\w-]{8,}\.(?:js|css|woff2|svg|png)$/

/**
 * Serves the page's build when there is one in `directory`, else a plain page with links. The files are those that are
 * there at start, by name: no path is ever put together from what somebody asks. They hold no data, so they are open.
 */
export async function addPage(app: FastifyInstance, directory: string | null): Promise<void> {
  if (directory === null || !existsSync(join(directory, 'index.html'))) {
    app.get('/', { config: OPEN, schema: { hide: true } }, (_request, reply) =>
      reply.type('text/html; charset=utf-8').send(PLAIN_PAGE),
    )
    return
  }
  await app.register(fastifyStatic, { root: directory, serve: false, cacheControl: false })
  for (const file of listFiles(directory)) {
    const path = file === 'index.html' ? '/' : `/${file}`
    const caching = HASHED_NAME.test(file) ? 'public, max-age=31536000, immutable' : 'no-cache'
    app.get(path, { config: OPEN, schema: { hide: true } }, (_request, reply) =>
      reply.header('cache-control', caching).sendFile(file),
    )
  }
}

function listFiles(directory: string): string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter((file) => /^[\w./-]{1,200}$/.test(file))
    .slice(0, FILES_MAX)
}

const PLAIN_PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Tapekeeper</title>
<h1>Tapekeeper</h1>
<p>The page is not built here. What there is:</p>
<ul>
${[
  ['/api/health', 'Health'],
  ['/api/fetcher/status', 'Fetcher'],
  ['/api/fetcher/logs', 'Log'],
  ['/api/collectors', 'Collectors'],
  ['/api/markets', 'Markets'],
  ['/api/gaps', 'Gaps'],
  ['/metrics', 'Metrics'],
  ['/api/openapi.json', 'OpenAPI'],
]
  .map(([path, name]) => `<li><a href="${path}">${name}</a>`)
  .join('\n')}
</ul>
</html>
`
