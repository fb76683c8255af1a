import type { Config } from '../config/config.ts'
import { type Channel, createChannels } from '../monitor/alerts/channels.ts'
import type { Poster } from '../runtime/post.ts'

/** The channels that are configured. */
export function channelsOf({ alerts }: Config, version: string, poster: Poster): readonly Channel[] {
  const { webhookUrl, slackUrl, telegram, email } = alerts
  return createChannels({
    poster,
    userAgent: `tapekeeper/${version}`,
    settings: {
      webhookUrl: webhookUrl?.reveal() ?? null,
      slackUrl: slackUrl?.reveal() ?? null,
      telegram: telegram && { ...telegram, token: telegram.token.reveal() },
      email: email && { ...email, smtpUrl: email.smtpUrl.reveal() },
    },
  })
}
