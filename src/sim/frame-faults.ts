import type { Random } from '../core/random.ts'
import { BoundedList } from './account.ts'
import type { FrameKind } from './engine.ts'

/** The kinds of frames that can be lost, repeated or swapped on command. */
export const SPOILT_KINDS = ['price_change', 'book', 'last_trade_price'] as const
export type SpoiltKind = (typeof SPOILT_KINDS)[number]

export interface DropFault {
  readonly kind: SpoiltKind
  /** How many messages nobody is given. A repetition of a lost message is lost with it and not counted again. */
  readonly count: number
  /** Only those of this token's market; any market without it. */
  readonly token?: string
  /** Only each so-manieth that fits; 1 without it. */
  readonly every?: number
  /** With a trade all other fills of its transaction are lost as well, and counted. */
  readonly wholeMatch?: boolean
}

/** A message that the venue had to tell and told nobody. */
export interface DroppedFrame {
  readonly atUs: number
  readonly kind: FrameKind
  readonly market: string
  /** The tokens it tells of. */
  readonly tokens: readonly string[]
  /** Connections that should have had it. */
  readonly connections: readonly number[]
  readonly frame: string
}

export interface FrameFaultCounts {
  dropped: number
  repeated: number
  swapped: number
}

/** What becomes of one frame: nobody gets it, it waits for the next of its market, it goes out once or twice. */
export type Fate = 'drop' | 'hold' | 'send' | 'twice'

interface DropRule {
  readonly fault: DropFault
  left: number
  seen: number
}

const RULES_MAX = 100
const TRANSACTION = /"transaction_hash":"0x[0-9a-f]+"/
const DROPPED_MAX = 200_000

/** Decides what happens to frames on their way from the engine to the connections, and counts it. */
export class FrameFaults {
  readonly counts: FrameFaultCounts = { dropped: 0, repeated: 0, swapped: 0 }
  readonly dropped = new BoundedList<DroppedFrame>(DROPPED_MAX)
  readonly #random: Random
  readonly #lastDropped = new Map<string, string>()
  /** The transaction whose fills are lost: the fills of one follow each other. */
  #matchDropped: string | null = null
  /** The match that the newest trade belongs to. */
  #matchTold: string | null = null
  #rules: DropRule[] = []
  #repeatShare = 0
  #reorderShare = 0

  constructor(random: Random) {
    this.#random = random
  }

  drop(fault: DropFault): void {
    if (this.#rules.length >= RULES_MAX) this.#rules.shift()
    this.#rules.push({ fault, left: fault.count, seen: 0 })
  }

  /** Share of books and changes that go out twice. Trades never do: two equal ones are two fills. */
  repeat(share: number): void {
    this.#repeatShare = share
  }

  /** Share of frames that change places with the next one of their market. */
  reorder(share: number): void {
    this.#reorderShare = share
  }

  clear(): void {
    this.#rules = []
    this.#repeatShare = 0
    this.#reorderShare = 0
  }

  /** `waiting`: a frame of the same market is being held back already. */
  judge(market: string, tokens: readonly string[], kind: FrameKind, frame: string, waiting: boolean): Fate {
    if (!isSpoilt(kind)) return 'send'
    const trade = kind === 'last_trade_price'
    if (!trade && this.#lastDropped.get(market) === frame) return 'drop'
    if (trade && this.#matchDropped !== null && frame.includes(this.#matchDropped)) {
      this.counts.dropped += 1
      return 'drop'
    }
    const transaction = trade ? (TRANSACTION.exec(frame)?.[0] ?? null) : null
    const goesOn = transaction !== null && transaction === this.#matchTold
    this.#matchTold = transaction ?? this.#matchTold
    const rule = this.#rules.find(({ fault }) => {
      // A whole match is lost from its first fill on, or not at all.
      if (fault.wholeMatch === true && goesOn) return false
      return fault.kind === kind && (fault.token === undefined || tokens.includes(fault.token))
    })
    if (rule !== undefined && this.#takes(rule)) {
      this.counts.dropped += 1
      this.#lastDropped.set(market, frame)
      if (rule.fault.wholeMatch === true) this.#matchDropped = transaction
      return 'drop'
    }
    if (!waiting && this.#reorderShare > 0 && this.#random() < this.#reorderShare) return 'hold'
    if (trade || this.#repeatShare === 0 || this.#random() >= this.#repeatShare) return 'send'
    this.counts.repeated += 1
    return 'twice'
  }

  #takes(rule: DropRule): boolean {
    rule.seen += 1
    if (rule.seen % (rule.fault.every ?? 1) !== 0) return false
    rule.left -= 1
    if (rule.left <= 0) this.#rules = this.#rules.filter((one) => one !== rule)
    return true
  }
}

function isSpoilt(kind: FrameKind): kind is SpoiltKind {
  return (SPOILT_KINDS as readonly string[]).includes(kind)
}
