// Preloaded into a daemon that is to lose data: what it believes to be synced is only in the page cache.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

fs.fdatasyncSync = () => undefined
syncBuiltinESMExports()
