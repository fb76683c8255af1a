import { Window } from 'happy-dom'
import type { ComponentChild } from 'preact'
import type { PageClock } from '../src/data/clock.ts'
import type { Topic } from '../src/data/live.ts'
import { type Ask, type AskOptions, RequestError } from '../src/data/request.ts'
import { NOW_MS } from './samples.ts'

/** A document without a browser. Preact looks for it when it is loaded, so it is made before anything else. */
const view = new Window({ url: 'http://127.0.0.1:8090/' })
Object.assign(globalThis, {
  window: view,
  document: view.document,
  location: view.location,
  localStorage: view.localStorage,
  Element: view.Element,
  Event: view.Event,
  Node: view.Node,
  addEventListener: view.addEventListener.bind(view),
  removeEventListener: view.removeEventListener.bind(view),
  dispatchEvent: view.dispatchEvent.bind(view),
  requestAnimationFrame: (call: () => void) => setTimeout(call, 0),
  cancelAnimationFrame: (timer: number) => clearTimeout(timer),
})
const { render } = await import('preact/compat')
const { act } = await import('preact/test-utils')
const { LiveContext } = await import('../src/data/hooks.ts')
const { Live } = await import('../src/data/live.ts')

interface Timer {
  readonly atMs: number
  readonly call: () => void
}

/** Time that moves when it is told to. */
export class TestClock implements PageClock {
  #nowMs = NOW_MS
  readonly #timers = new Set<Timer>()

  nowMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, call: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), call }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  get waiting(): number {
    return this.#timers.size
  }

  /** Everything that is due on the way happens in order, promises in between. */
  async advance(byMs: number): Promise<void> {
    const endMs = this.#nowMs + byMs
    for (;;) {
      await settle()
      const [next] = [...this.#timers].filter((timer) => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)
      if (next === undefined) break
      this.#timers.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.call()
    }
    this.#nowMs = endMs
    await settle()
  }
}

/** Until nothing is left that only waits for promises. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve()
}

/** What the API answers, by address (a query in it is left out where it is not part of the key). */
export type Answers = Record<string, unknown>

/** A page's surroundings: what the API says, the time, the events. */
export class Stage {
  readonly clock = new TestClock()
  readonly asked: { path: string; options: AskOptions | undefined }[] = []
  answers: Answers
  /** Set: every request fails with it. */
  failure: RequestError | null = null
  silent = false
  #hear: ((topic: Topic, data: unknown) => void) | null = null
  readonly live: InstanceType<typeof Live>
  readonly place = view.document.createElement('div') as unknown as HTMLElement

  constructor(answers: Answers) {
    this.answers = answers
    view.document.body.append(this.place as never)
    this.live = new Live({
      ask: this.#ask as Ask,
      clock: this.clock,
      openEvents: (heard) => {
        this.#hear = heard
        return { close: () => (this.#hear = null) }
      },
    })
  }

  readonly #ask = (path: string, options?: AskOptions): Promise<unknown> => {
    this.asked.push({ path, options })
    if (this.silent) return new Promise(() => {})
    if (this.failure !== null) return Promise.reject(this.failure)
    const answer = this.answers[path] ?? this.answers[path.split('?')[0] ?? '']
    return answer === undefined
      ? Promise.reject(new RequestError(404, `nothing is at ${path}`))
      : Promise.resolve(structuredClone(answer))
  }

  async show(element: ComponentChild): Promise<void> {
    await act(async () => {
      render(<LiveContext.Provider value={this.live}>{element}</LiveContext.Provider>, this.place)
    })
    await this.pass(0)
  }

  async pass(ms: number): Promise<void> {
    await act(() => this.clock.advance(ms))
    await act(() => this.clock.advance(0))
  }

  /** An event of the API. */
  async tell(topic: Topic, data: unknown = {}): Promise<void> {
    await act(async () => this.#hear?.(topic, data))
    await this.pass(1_000)
  }

  get listening(): boolean {
    return this.#hear !== null
  }

  get text(): string {
    return (this.place.textContent ?? '').replaceAll(/\s+/g, ' ')
  }

  find(selector: string): HTMLElement {
    const found = this.place.querySelector<HTMLElement>(selector)
    if (found === null) throw new Error(`nothing is ${selector} in: ${this.text}`)
    return found
  }

  all(selector: string): HTMLElement[] {
    return [...this.place.querySelectorAll<HTMLElement>(selector)]
  }

  async click(selector: string): Promise<void> {
    await act(async () => this.find(selector).click())
    await this.pass(0)
  }

  /** As typing or choosing does. */
  async enter(selector: string, value: string): Promise<void> {
    const element = this.find(selector) as HTMLInputElement
    await act(async () => {
      element.value = value
      const name = element.matches('select') ? 'change' : 'input'
      element.dispatchEvent(new view.Event(name, { bubbles: true }) as unknown as Event)
    })
    await this.pass(300)
  }

  /** A key, wherever the reader is. */
  async press(key: string): Promise<void> {
    await act(async () => {
      view.dispatchEvent(new view.KeyboardEvent('keydown', { key }))
      // the fragment's event comes in a turn of its own
      await new Promise((resolve) => setTimeout(resolve, 0))
    })
    await this.pass(0)
  }

  async send(selector: string, name: string): Promise<void> {
    const event = new view.Event(name, { bubbles: true, cancelable: true }) as unknown as Event
    await act(async () => void this.find(selector).dispatchEvent(event))
    await this.pass(0)
  }

  end(): void {
    render(null, this.place)
    this.place.remove()
  }
}

/** Shows an element and always takes it down again. */
export async function stage(answers: Answers, element: ComponentChild, play: (stage: Stage) => Promise<void>) {
  const one = new Stage(answers)
  try {
    await one.show(element)
    await play(one)
  } finally {
    one.end()
  }
}
