/** A promise together with the ways to settle it; only the first settling counts. */
export interface Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
}

export function createDeferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void
  let reject!: (error: unknown) => void
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  // Whoever waits sees the rejection; nobody waiting is not an unhandled one.
  promise.catch(() => {})
  return { promise, resolve, reject }
}
