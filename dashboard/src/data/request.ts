/** An answer that is not what was asked for; status 0: nobody answered. */
export class RequestError extends Error {
  override readonly name = 'RequestError'
  readonly status: number
  /** What of the request it is about; null when that is not said. */
  readonly parameter: string | null

  constructor(status: number, detail: string, parameter: string | null = null) {
    super(detail)
    this.status = status
    this.parameter = parameter
  }
}

/** Asks the API. Throws RequestError. */
export type Ask = <T>(path: string, options?: AskOptions) => Promise<T>

export interface AskOptions {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly body?: unknown
  readonly signal?: AbortSignal
}

export const ask: Ask = async <T>(path: string, { method = 'GET', body, signal }: AskOptions = {}): Promise<T> => {
  const answer = await fetch(path, {
    method,
    headers: { accept: 'application/json', ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  }).catch(() => {
    throw new RequestError(0, 'Tapekeeper does not answer')
  })
  if (!answer.ok) throw await errorOf(answer)
  return (await answer.json().catch(() => {
    throw new RequestError(0, 'Tapekeeper broke off while it answered')
  })) as T
}

async function errorOf(answer: Response): Promise<RequestError> {
  const problem = (await answer.json().catch(() => null)) as { detail?: unknown; parameter?: unknown } | null
  const { detail, parameter } = problem ?? {}
  const words = typeof detail === 'string' ? detail : `the API answered with ${answer.status}`
  return new RequestError(answer.status, words, typeof parameter === 'string' ? parameter : null)
}
