import type { Random } from '../core/random.ts'
import type { HttpReply } from './faults.ts'

/** What is wrong with the answer of a feed or a page; transport faults are those of every other path. */
export const NEWS_FAULT_MODES = [
  /** The body ends somewhere. */
  'truncated',
  /** Some items are not closed. */
  'unclosed',
  /** Ampersands and tags as no XML may have them. */
  'unescaped',
  /** Latin letters in a document that says UTF-8. */
  'wrong-encoding',
  'utf-16',
  /** It has moved and says where. */
  'moved',
  /** It leads to itself for ever. */
  'loop',
  /** A byte now and then. */
  'slow',
  'huge',
  /** A web page where the feed was. */
  'html',
  'empty',
  /** All is well but for the validators: the same is sent again and again. */
  'no-validators',
] as const
export type NewsFaultMode = (typeof NEWS_FAULT_MODES)[number]

const DRIP_MS = 500
const HUGE_BYTES = 40 * 1024 * 1024

interface Spoilt {
  readonly name: string
  readonly random: Random
}

/** What a fault makes of a good answer. */
export function spoilReply(mode: NewsFaultMode, reply: HttpReply, { name, random }: Spoilt): HttpReply {
  const text = reply.body.toString()
  const html = { status: 200, headers: { 'content-type': 'text/html' } }
  switch (mode) {
    case 'truncated':
      return { ...reply, body: text.slice(0, Math.floor(text.length * random())) }
    case 'unclosed':
      return { ...reply, body: text.replaceAll(/<\/(?:item|entry)>/g, (tag) => (random() < 0.1 ? '' : tag)) }
    case 'unescaped':
      return {
        ...reply,
        body: text.replaceAll(/&amp;(?!\w+;)/g, '&').replaceAll('<description>', '<description>a < b & c '),
      }
    case 'wrong-encoding':
      return { ...reply, body: Buffer.from(text.replaceAll(/[“”–]/g, '-'), 'latin1') }
    case 'utf-16':
      return { ...reply, body: Buffer.from(`\ufeff${text}`, 'utf16le') }
    case 'moved':
      return { status: 301, body: '', headers: { location: `/news/moved/${name.split('/')[1]}` } }
    case 'loop':
      return { status: 302, body: '', headers: { location: `?again=${Math.floor(random() * 1e9)}` } }
    case 'slow':
      return { ...reply, dripMs: DRIP_MS }
    case 'huge':
      return { ...reply, body: `${text}<!-- ${'x'.repeat(HUGE_BYTES)} -->` }
    case 'html':
      return { ...html, body: '<!doctype html><html><body><h1>Please accept our cookies</h1></body></html>' }
    case 'empty':
      return { ...reply, body: '' }
    case 'no-validators':
      return reply
  }
}
