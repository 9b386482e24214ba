import fc from 'fast-check'

/** Turns a list of numbers into choices: a shorter list, or smaller numbers, make a simpler policy. */
class Choices {
  readonly #numbers: readonly number[]
  #at = 0

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers
  }

  /** From 0 up to, but without, `count`; 0 once the numbers are used up. */
  below(count: number): number {
    return (this.#numbers[this.#at++] ?? 0) % count
  }

  of<T>(first: T, ...others: readonly T[]): T {
    return [first, ...others][this.below(others.length + 1)] ?? first
  }
}

const someStrings = [
  '',
  'a',
  'tdx.tcb_status',
  'say "hi"',
  'c:\\dir\\',
  '// => deny();',
  'naïve ✓ 漢\u{1f600}',
  '\t',
  '};',
]
const quotedText = (text: string) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`

type Bound = readonly string[]

function stringTokens(choices: Choices): string[] {
  return [quotedText(someStrings[choices.below(someStrings.length)] ?? '')]
}

function expression(choices: Choices, bound: Bound, depth = 0): string[] {
  const calls = depth < 4 ? 2 : 0
  switch (choices.below(4 + calls)) {
    case 0:
      return [choices.of('0', '1', '-5', '9223372036854775807', '-9223372036854775808')]
    case 1:
      return stringTokens(choices)
    case 2:
      return [choices.of('true', 'false')]
    case 3: {
      const [first = '', ...others] = bound
      if (first === '') return ['0']
      return [choices.of(first, ...others), '.', choices.of('value', 'type', 'valueType', 'issuer')]
    }
    case 4: {
      const name = choices.of('JmesPath', 'IsSubsetOf', 'AppendString', 'ContainsOnlyValue')
      return [name, '(', ...expression(choices, bound, depth + 1), ',', ...expression(choices, bound, depth + 1), ')']
    }
    default:
      return [choices.of('NegateBool', 'JsonToClaimValue'), '(', ...expression(choices, bound, depth + 1), ')']
  }
}

function test(choices: Choices, bound: Bound): string[] {
  switch (choices.below(6)) {
    case 0:
      return ['type', choices.of('==', '!='), ...stringTokens(choices)]
    case 1:
      return ['issuer', '==', choices.of('"AttestationService"', '"AttestationPolicy"', '"CustomClaim"')]
    case 2:
      return ['valueType', '!=', choices.of('"String"', '"Integer"', '"Boolean"')]
    case 3:
      return ['value', choices.of('<', '<=', '>', '>='), choices.of('0', '-7', '42')]
    default:
      return ['value', choices.of('==', '!='), ...expression(choices, bound)]
  }
}

const separated = (parts: readonly string[][], separator: string) =>
  parts.flatMap((part, at) => (at === 0 ? part : [separator, ...part]))

function condition(choices: Choices, bound: string[]): string[] {
  const tests = Array.from({ length: choices.below(4) }, () => test(choices, bound))
  const body = ['[', ...separated(tests, ','), ']']
  const form = choices.below(3)
  if (form === 1) return ['!', ...body]
  if (form === 0) return body
  const name = `c${bound.length}`
  bound.push(name)
  return [name, ':', ...body]
}

function action(choices: Choices, bound: Bound, words: readonly string[]): string[] {
  const word = words[choices.below(words.length)] ?? 'add'
  if (word === 'permit' || word === 'deny') return [word, '(', ')']
  const [first = ''] = bound
  if (first !== '' && choices.below(4) === 0) return [word, '(', 'claim', '=', first, ')']
  const type = ['type', '=', choices.of('"x"', '"y z"')]
  const value = ['value', '=', ...expression(choices, bound)]
  return [word, '(', ...separated(choices.below(2) === 0 ? [type, value] : [value, type], ','), ')']
}

function rules(choices: Choices, words: readonly string[]): string[] {
  return Array.from({ length: choices.below(4) }, () => {
    const bound: string[] = []
    const conditions = Array.from({ length: choices.below(4) }, () => condition(choices, bound))
    return [...separated(conditions, '&&'), '=>', ...action(choices, bound, words), ';']
  }).flat()
}

function policyTokens(choices: Choices): string[] {
  const section = (name: string, words: readonly string[]) => [name, '{', ...rules(choices, words), '}', ';']
  return [
    ...['version', '=', '1.2', ';'],
    ...section('authorizationrules', ['permit', 'deny', 'add', 'issue']),
    ...(choices.below(4) === 0 ? [] : section('issuancerules', ['add', 'issue', 'issueproperty'])),
  ]
}

const trivia = [
  '',
  '',
  '',
  ' ',
  '\n',
  '\t',
  '\r\n',
  '\r',
  '\n\n',
  ' // why "so\n',
  '\n// => permit();\r\n',
  '//\r',
  '  // 漢 ✓  \n',
]

function spaced(choices: Choices, tokens: readonly string[]): string {
  const mark = choices.of('', '', '\ufeff')
  return mark + tokens.map((token) => token + trivia[choices.below(trivia.length)]).join('')
}

/** Texts of policies that load, laid out in any way, with comments in any place. */
export const policyTexts: fc.Arbitrary<string> = fc
  .array(fc.nat(9999), { maxLength: 400 })
  .map((numbers) => new Choices(numbers))
  .map((choices) => spaced(choices, policyTokens(choices)))
