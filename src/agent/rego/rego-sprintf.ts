/** No one text that OPA would make as well, or too long a one. Messages have nothing of the values, which may be evidence. */
export class Unformattable extends Error {}

interface Value {
  /** `name` is `true`, `false` or `null`. */
  readonly kind: 'text' | 'name' | 'integer' | 'fraction'
  /** Of a number, as it stands in the JSON text: Integers stay exact. */
  readonly text: string
}

const textOrNumber = /"(?:[^"\\]|\\.)*"|-?[0-9][-+.0-9eE]*/g
const mark = { text: 's', number: 'n' } as const

function formattable(value: unknown): Value {
  if (typeof value === 'boolean' || value === null) return { kind: 'name', text: String(value) }
  if (typeof value !== 'string') throw new Unformattable('sprintf formats no array, set or object here')
  const text = value.slice(1)
  if (value.startsWith(mark.text)) return { kind: 'text', text }
  return { kind: /^-?[0-9]+$/.test(text) ? 'integer' : 'fraction', text }
}

/** Numbers become texts before they are parsed: the parser would round them. Only what is JSON has an end to each text. */
function valuesOf(list: string): readonly Value[] {
  JSON.parse(list)
  const marked = list.replace(textOrNumber, (token) =>
    token.startsWith('"') ? `"${mark.text}${token.slice(1)}` : `"${mark.number}${token}"`,
  )
  const parsed: unknown = JSON.parse(marked)
  if (!Array.isArray(parsed)) throw new Unformattable('sprintf takes an array of values')
  return parsed.map(formattable)
}

/** As Go prints a number of 64 bits: the shortest digits, with an exponent below -4 and from 6. */
function shortestNumber(text: string): string {
  const value = Number(text)
  const [digits = '', exponent = ''] = value.toExponential().split('e')
  const power = Math.abs(Number(exponent))
  if (!Number.isFinite(value)) throw new Unformattable('sprintf has a number beyond 64 bits')
  if (Number(exponent) >= -4 && Number(exponent) < 6) return String(value)
  return `${digits}e${Number(exponent) < 0 ? '-' : '+'}${String(power).padStart(2, '0')}`
}

function hexadecimal({ kind, text }: Value): string {
  if (kind !== 'integer') return Buffer.from(text, 'utf8').toString('hex')
  return text.startsWith('-') ? `-${BigInt(text.slice(1)).toString(16)}` : BigInt(text).toString(16)
}

type Verb = 's' | 'v' | 'd' | 'x' | 'X'

/** What each verb formats; of anything else OPA makes a text that says so. */
const formatted: Readonly<Record<Verb, readonly Value['kind'][]>> = {
  s: ['text', 'name'],
  v: ['text', 'name', 'integer', 'fraction'],
  d: ['integer'],
  x: ['text', 'name', 'integer'],
  X: ['text', 'name', 'integer'],
}

const isVerb = (verb: string): verb is Verb => Object.hasOwn(formatted, verb)

function plain(verb: Verb, value: Value): string {
  if (!formatted[verb].includes(value.kind))
    throw new Unformattable(`sprintf has a value that %${verb} does not format`)
  if (verb === 'x') return hexadecimal(value)
  if (verb === 'X') return hexadecimal(value).toUpperCase()
  if (value.kind === 'integer') return BigInt(value.text).toString()
  return value.kind === 'fraction' ? shortestNumber(value.text) : value.text
}

/** Behind the sign where there are zeros; widths count characters. */
function padded(text: string, flag: string, width: number, kind: Value['kind']): string {
  const missing = Math.max(0, width - [...text].length)
  if (flag === '-') return text + ' '.repeat(missing)
  if (flag === '') return ' '.repeat(missing) + text
  if (kind !== 'integer') throw new Unformattable('sprintf fills only integers with zeros')
  return text.startsWith('-') ? `-${'0'.repeat(missing)}${text.slice(1)}` : '0'.repeat(missing) + text
}

/** A flag, a width, a verb; what has another form is found by its sign alone. */
const places = /%(?:([-0]?)([0-9]*)([a-zA-Z])|%)?/g

/**
 * `sprintf` of Rego, given the JSON texts of its format and of its list of values: the text that OPA makes of them, where that
 * is the plain one. Takes `%s`, `%v`, `%d`, `%x`, `%X`, each with a width and with `-` or `0`, and `%%`. Everything else is
 * `Unformattable`: other verbs, arrays, sets and objects, values of a wrong type, too few or too many of them. So is a text
 * longer than `longest`, before it is made.
 */
export function regoSprintf(format: string, list: string, longest: number): string {
  const [text, values] = [JSON.parse(format) as unknown, valuesOf(list)]
  if (typeof text !== 'string') throw new Unformattable('sprintf takes a text')
  let [used, length] = [0, text.length + list.length]
  const made = text.replace(places, (place: string, flag = '', width = '', verb = '') => {
    if (place === '%%') return '%'
    if (!isVerb(verb)) throw new Unformattable('sprintf formats only %s, %v, %d, %x and %X here')
    const value = values[used++]
    if (value === undefined) throw new Unformattable('sprintf has more places than values')
    length += Number(width)
    if (length > longest) throw new Unformattable('sprintf would give too long a text')
    return padded(plain(verb, value), flag, Number(width), value.kind)
  })
  if (used < values.length) throw new Unformattable('sprintf has more values than places')
  return made
}
