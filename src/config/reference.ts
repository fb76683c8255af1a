import { type Key, listKeys } from './keys.ts'

/** Every key as a Markdown document, made from the schema. */
export function configurationReference(): string {
  return `${[INTRODUCTION, table(listKeys()), SIGNALS].join('\n\n')}\n`
}

/** Every key as an environment file, made from the schema: nothing is set, everything is there to be uncommented. */
export function environmentExample(): string {
  const keys = listKeys()
  const lines = keys.flatMap((key) => {
    const { about, form, secret } = key.facts
    // A variable with a name of its own is the one that people know.
    const name = key.variables[1] ?? key.variables[0] ?? ''
    return ['', `# ${about} (${form}${secret ? '; secret' : ''})`, `#${name}=${plainFallback(key)}`]
  })
  return `${[ENVIRONMENT, ...lines].join('\n')}\n`
}

const ENVIRONMENT = `# Environment of Tapekeeper: /etc/tapekeeper/environment for systemd, deploy/.env for compose.
# Made by \`tapekeeper config --environment\`; a test fails when it is out of date. Nothing is set.
# An unknown TAPEKEEPER_ variable is an error. docs/configuration.md says the same as a table.`

function plainFallback(key: Key): string {
  if (key.fallback === null) return ''
  return Array.isArray(key.fallback) ? key.fallback.join(',') : String(key.fallback)
}

const INTRODUCTION = `# Configuration

<!-- Made by \`tapekeeper config --reference\`; a test fails when it is out of date. -->

A value is taken from the first of these that has one: a flag (\`--set key=value\` sets any key, \`--set key=\` takes it
back to its default), an environment variable, \`tapekeeper.yaml\` in the working directory (or the file named by
\`--config\` or \`TAPEKEEPER_CONFIG\`), the default. An unknown key or \`TAPEKEEPER_\` variable is an error, an empty
variable counts as unset, and relative paths start at the working directory. \`tapekeeper config\` shows what is in
force and where each value comes from.

Durations are written with a unit: \`500ms\`, \`60s\`, \`10m\`, \`1.5h\`, \`30d\`. So are sizes: \`512MiB\`,
\`50GB\`. In the file a dot is a level:

\`\`\`yaml
polymarket:
  price_interval: 30s
  trades:
    critical: false
\`\`\``

const SIGNALS = `## Feeds and pages

An entry of \`signals.feeds\` is an address, \`name=address\`, or a preset: \`google-news:<query>\`, \`pr-newswire\`,
\`globenewswire\`, \`techcrunch\`, \`product-hunt\`, \`reddit:<subreddit>\`. A page names what holds one item and,
inside of it, what to read; \`title\` is the whole item where it is left out, \`link\` its first link:

\`\`\`yaml
signals:
  enabled: true
  feeds: [techcrunch, 'google-news:copper price', 'central-bank=https://bank.example/press.xml']
  pages:
    - name: harbour
      url: https://harbour.example/news
      item: article.post
      title: h2
      summary: p.teaser
      time: time
  companies: [Nvidia, Alphabet=Google|GOOGL]
  keywords: [copper price]
\`\`\``

function table(keys: readonly Key[]): string {
  const rows = keys.map((key) => {
    const variables = key.variables.map((name) => `\`${name}\``).join(', ')
    return `| \`${key.path}\` | ${variables} | ${fallbackOf(key)} | ${key.facts.about} (${key.facts.form}) |`
  })
  return ['| key | variable | default | meaning |', '|---|---|---|---|', ...rows].join('\n')
}

function fallbackOf(key: Key): string {
  if (key.path === 'data_dir') return '`./data`, or `$STATE_DIRECTORY`'
  if (key.fallback === null) return '–'
  return Array.isArray(key.fallback) ? 'none' : `\`${String(key.fallback)}\``
}
