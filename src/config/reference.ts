import { type Key, listKeys } from './keys.ts'

/** Every key as a Markdown document, made from the schema. */
export function configurationReference(): string {
  const keys = listKeys()
  const now = keys.filter((key) => key.facts.later === undefined)
  const later = keys.filter((key) => key.facts.later !== undefined)
  return `${[INTRODUCTION, table(now), LATER, table(later)].join('\n\n')}\n`
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

const LATER = `## Reserved

These keys are accepted, because their names are settled, but the parts of the program that use them are not in this
version: enabling one is an error, setting another is noted by \`tapekeeper config\`.`

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
