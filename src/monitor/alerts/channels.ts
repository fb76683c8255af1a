import { createHash } from 'node:crypto'
import { describeError, TransientError } from '../../core/errors.ts'
import type { Poster } from '../../runtime/post.ts'
import { cutText, type Message } from './message.ts'

/** One way to reach people. */
export interface Channel {
  readonly name: 'webhook' | 'slack' | 'telegram' | 'email'
  /** Throws TransientError when it was not taken. `nowMs` is Unix ms. */
  send(message: Message, nowMs: number, signal: AbortSignal): Promise<void>
}

/** Where to tell; null: not there. All of them but `from`, `to` and `chat` are secrets. */
export interface ChannelSettings {
  readonly webhookUrl: string | null
  readonly slackUrl: string | null
  readonly telegram: { readonly url: string; readonly token: string; readonly chat: string } | null
  readonly email: { readonly smtpUrl: string; readonly from: string; readonly to: readonly string[] } | null
}

export interface ChannelParts {
  readonly settings: ChannelSettings
  readonly poster: Poster
  readonly userAgent: string
}

/** Slack shows 3,000 characters of a section and Telegram 4,096 of a message. */
const TEXT_LENGTH_MAX = 2_800
const SMTP_TIMEOUT_MS = 10_000

/** The channels that are configured. */
export function createChannels({ settings, poster, userAgent }: ChannelParts): readonly Channel[] {
  const { webhookUrl, slackUrl, telegram, email } = settings
  const channels: Channel[] = []
  const post = (url: string, body: unknown, nowMs: number, signal: AbortSignal) =>
    poster.post(url, JSON.stringify(body), { signal, nowMs, userAgent })
  if (webhookUrl !== null) {
    channels.push({
      name: 'webhook',
      async send({ fields }, nowMs, signal) {
        await post(webhookUrl, fields, nowMs, signal)
      },
    })
  }
  if (slackUrl !== null) {
    channels.push({
      name: 'slack',
      async send(message, nowMs, signal) {
        await post(slackUrl, { text: slackText(message) }, nowMs, signal)
      },
    })
  }
  if (telegram !== null) {
    const url = `${telegram.url}/bot${telegram.token}/sendMessage`
    channels.push({
      name: 'telegram',
      async send({ subject, text }, nowMs, signal) {
        const body = { chat_id: telegram.chat, text: cutText(`${subject}\n${text}`, TEXT_LENGTH_MAX) }
        await post(url, { ...body, link_preview_options: { is_disabled: true } }, nowMs, signal)
      },
    })
  }
  if (email !== null) channels.push({ name: 'email', send: (message) => sendMail(email, message) })
  return channels
}

/** `&`, `<` and `>` begin what Slack reads as commands: a market's question must not be one. */
function slackText({ subject, text }: Message): string {
  const plain = (raw: string) => raw.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
  return `*${plain(subject)}*\n${cutText(plain(text), TEXT_LENGTH_MAX)}`
}

/** Loads the mailer when there is something to send: it takes 14 MB. */
async function sendMail({ smtpUrl, from, to }: NonNullable<ChannelSettings['email']>, message: Message): Promise<void> {
  const { createTransport } = await import('nodemailer')
  const timeouts = {
    connectionTimeout: SMTP_TIMEOUT_MS,
    greetingTimeout: SMTP_TIMEOUT_MS,
    socketTimeout: SMTP_TIMEOUT_MS,
  }
  const transport = createTransport({ url: smtpUrl, ...timeouts })
  const unique = createHash('sha256').update(message.id).digest('hex').slice(0, 32)
  try {
    await transport.sendMail({
      from,
      to: [...to],
      subject: message.subject,
      text: `${message.text}\n`,
      messageId: `<${unique}@tapekeeper>`,
    })
  } catch (error) {
    throw new TransientError(`the mail was not taken: ${describeError(error)}`)
  } finally {
    transport.close()
  }
}
