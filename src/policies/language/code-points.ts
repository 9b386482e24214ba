/** Unicode code points of `text` from offset `from` up to `to`; columns and lengths are counted in them (POL-801). */
export function codePointsIn(text: string, from = 0, to = text.length): number {
  let count = to - from
  for (let at = from + 1; at < to; at++) {
    const unit = text.charCodeAt(at)
    if (unit >= 0xdc00 && unit <= 0xdfff) {
      const before = text.charCodeAt(at - 1)
      if (before >= 0xd800 && before <= 0xdbff) count--
    }
  }
  return count
}

const maximumShown = 64

/** The beginning of a text, of at most so many units; never half a surrogate pair, which strict readers of JSON refuse. */
export function beginningOf(text: string, most: number = maximumShown): string {
  return text.length <= most ? text : text.slice(0, most).replace(/[\ud800-\udbff]$/, '')
}

/** Enough of a token to recognise it. */
export function shortened(text: string): string {
  return text.length <= maximumShown ? text : `${beginningOf(text)}…`
}
