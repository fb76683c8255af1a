// Builds the page into the folder that is named: `node bin/build-page.js FOLDER`. It has no other configuration.
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

const ROOT = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dashboard')

await build({
  root: ROOT,
  // relative, so that the page also works behind a proxy that puts it into a folder
  base: './',
  configFile: false,
  envDir: false,
  logLevel: 'warn',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: process.argv[2],
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0, // the content policy lets no data: fonts or styles in
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
})
