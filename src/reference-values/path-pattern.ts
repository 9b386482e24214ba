/**
 * What paths a rule is about, over bytes and always the whole path (IMA-16).
 *
 * `prefix`: the path begins with these bytes; `text` is an escaped name (`\\`, `\n`, `\xNN`).
 *
 * `glob`: `*` is any bytes but `/`, `?` one byte but `/`, `[a-z]` and `[!a-z]` one byte of some or not, never `/`,
 * `{a,b}` one of several, `**` any bytes, and `**` with `/` behind it, at the start or after a `/`, also nothing, so
 * that the glob `/etc/**` + `/x` has `/etc/x`. A backslash takes a meaning away (`\*`), or gives a byte as in escaped
 * names (`\n`, `\xNN`). Characters beyond ASCII are refused, as in escaped names: what a rule matches can then be seen.
 *
 * Plain data: a thread can give it to another one.
 */
export interface PathPattern {
  readonly kind: 'glob' | 'prefix'
  readonly text: string
}
