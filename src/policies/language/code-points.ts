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

/** Enough of a token to recognise it; never half a surrogate pair. */
export function shortened(text: string): string {
  if (text.length <= maximumShown) return text
  return `${text.slice(0, maximumShown).replace(/[\ud800-\udbff]$/, '')}…`
}
