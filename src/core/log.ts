/** The logger that every room is handed. `context` is structured, `message` is one line for people. */
export interface Logger {
  debug(context: LogContext, message: string): void
  info(context: LogContext, message: string): void
  warn(context: LogContext, message: string): void
  error(context: LogContext, message: string): void
  fatal(context: LogContext, message: string): void
  child(bindings: LogContext): Logger
}

/** `err` holds an Error and is written with its stack and causes. Never put a secret here. */
export type LogContext = Readonly<Record<string, unknown>>
