import { Parser } from 'htmlparser2'

/** One element. Names are lower case, with their prefix. */
export interface XmlElement {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  readonly children: XmlElement[]
  readonly parent: XmlElement | null
  /** Of itself and everything in it. */
  text: string
  /** It was closed by its own tag. */
  isWhole: boolean
}

/** Deeper elements only add their text. */
const DEPTH_MAX = 40
const ELEMENTS_MAX = 400_000

/**
 * Reads XML as far as it can be read: what is not closed is closed, what is out of place stays where it is. There are
 * no entities but those of XML and HTML, no DTD and nothing from elsewhere. `root` holds the document.
 */
export function readXml(text: string): { readonly root: XmlElement; readonly cut: boolean } {
  const root = element('', {}, null)
  let current = root
  let depth = 0
  let count = 0
  let cut = false
  const parser = new Parser(
    {
      onopentag(name, attributes) {
        depth += 1
        count += 1
        if (depth > DEPTH_MAX || count > ELEMENTS_MAX) {
          cut = true
          return
        }
        const child = element(name, attributes, current)
        current.children.push(child)
        current = child
      },
      onclosetag(_name, isImplied) {
        depth -= 1
        if (depth >= DEPTH_MAX || count > ELEMENTS_MAX || current.parent === null) return
        current.isWhole = !isImplied
        const { parent, text: inner } = current
        parent.text += inner
        current = parent
      },
      ontext(data) {
        current.text += data
      },
    },
    { xmlMode: true, lowerCaseTags: true, lowerCaseAttributeNames: true, decodeEntities: true },
  )
  parser.end(text)
  return { root, cut }
}

function element(name: string, attributes: Readonly<Record<string, string>>, parent: XmlElement | null): XmlElement {
  return { name, attributes, children: [], parent, text: '', isWhole: false }
}

/** The name without its prefix. */
export function localName({ name }: XmlElement): string {
  return name.slice(name.indexOf(':') + 1)
}
