const URL_LENGTH_MAX = 2_048

/** Parameters that say where a reader came from and never what is read, by name or by beginning (`utm_…`). */
const TRACKING_NAMES = new Set(
  (
    'fbclid gclid gclsrc dclid gbraid wbraid msclkid twclid ttclid igshid yclid ysclid mc_cid mc_eid mkt_tok _hsenc ' +
    '_hsmi vero_id oly_anon_id oly_enc_id rb_clickid s_cid wickedid icid ncid cmpid cmp ref_src ref_url referrer ' +
    'guccounter guce_referrer guce_referrer_sig smid spm oc'
  ).split(' '),
)
const TRACKING_BEGINNINGS = ['utm_', 'pk_', 'mtm_', 'matomo_', 'hsa_', 'at_', 'ns_', '__s']
const DEFAULT_DOCUMENTS = /\/(?:index|default)\.(?:html?|php|aspx?)$/i

/**
 * One spelling of a web address: without fragment, login, tracking parameters, default port and final slash, with
 * https and without `www.`, parameters in order. Null when it is none. It identifies; what people follow is the same
 * but for scheme and `www.`, see `cleanUrl`.
 */
export function canonicalUrl(text: string, base?: string): string | null {
  const clean = cleanUrl(text, base)
  if (clean === null) return null
  const url = new URL(clean)
  if (url.protocol === 'http:') url.protocol = 'https:'
  url.hostname = url.hostname.replace(/^www\.(?=[^.]+\.)/, '').replace(/\.$/, '')
  url.pathname = url.pathname.replace(DEFAULT_DOCUMENTS, '/').replaceAll(/\/{2,}/g, '/')
  url.searchParams.sort()
  const canonical = url.href
  return url.search === '' ? canonical.replace(/\/$/, '') : canonical
}

/** The address as it leads to the document, without what only tracks readers; null when it is no web address. */
export function cleanUrl(text: string, base?: string): string | null {
  const trimmed = text.trim()
  if (trimmed === '' || trimmed.length > URL_LENGTH_MAX || !URL.canParse(trimmed, base)) return null
  const url = new URL(trimmed, base)
  if (!/^https?:$/.test(url.protocol)) return null
  url.hash = ''
  url.username = ''
  url.password = ''
  const kept = [...url.searchParams].filter(([name]) => !isTracking(name.toLowerCase()))
  // Left as it is where nothing goes: writing it anew changes how it is encoded.
  if (kept.length < url.searchParams.size) url.search = new URLSearchParams(kept).toString()
  return url.href.length > URL_LENGTH_MAX ? null : url.href
}

function isTracking(name: string): boolean {
  return TRACKING_NAMES.has(name) || TRACKING_BEGINNINGS.some((beginning) => name.startsWith(beginning))
}
