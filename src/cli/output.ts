/** Results go to stdout, messages to stderr. */
export function printResult(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
}

export function printJson(value: unknown): void {
  printResult(JSON.stringify(value, null, 2))
}

export function printMessage(text: string): void {
  process.stderr.write(`${text}\n`)
}
