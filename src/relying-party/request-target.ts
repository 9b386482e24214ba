const longest = 4096

/** Characters that RFC 3986 leaves unreserved: encoded or not, they are the same. */
const unreserved = /[A-Za-z0-9._~-]/

function normalEscape(encoded: string): string {
  const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16))
  return unreserved.test(character) ? character : encoded.toUpperCase()
}

/**
 * A URL without query and fragment in the one spelling in which targets are compared (RFC 9449 section 4.3, RFC 3986
 * section 6.2): scheme and host in lower case, no default port, no dot segments, percent-encoding in upper case and only
 * where it is needed, an empty path as `/`. Undefined for what is no absolute http or https URL, names a user, or holds
 * characters that URLs do not have: a parser for browsers would read `\` as `/` and leave a newline out.
 */
export function normalTarget(text: string): string | undefined {
  if (text.length > longest || !/^https?:\/\/[\x21-\x7e]+$/i.test(text) || /[\\"<>^`{|}]/.test(text)) return undefined
  if (/%(?![0-9A-Fa-f]{2})/.test(text) || !URL.canParse(text)) return undefined
  const { origin, pathname, username, password } = new URL(text)
  if (username !== '' || password !== '') return undefined
  return `${origin}${pathname.replace(/%[0-9A-Fa-f]{2}/g, normalEscape)}`
}
