import { once } from 'node:events'
import { freshDatabase, testServerKinds } from '../src/ledger/test-server.ts'

/** Starts a PostgreSQL server of each kind for all files of a run, says where they are, and lives as long as stdin. */
const kinds = testServerKinds()
const urls = await Promise.all(kinds.map((kind) => freshDatabase(kind, true)))
process.stdout.write(`${JSON.stringify(Object.fromEntries(kinds.map(({ name }, at) => [name, urls[at]])))}\n`)
process.stdin.resume()
await once(process.stdin, 'end')
process.exit()
