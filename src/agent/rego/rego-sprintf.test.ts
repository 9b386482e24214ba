import { describe, expect, it } from 'vitest'
import { regoSprintf } from './rego-sprintf.ts'

const longest = 1 << 20
const formatted = (format: string, list: string) => regoSprintf(JSON.stringify(format), list, longest)

describe('sprintf of Rego (POL-963)', () => {
  // What `opa eval` of version 0.47.0 makes of the same.
  it.each([
    ['%v', '[1]', '1'],
    ['%v', '["s"]', 's'],
    ['%v %v', '[true, null]', 'true null'],
    ['%s %s', '[true, null]', 'true null'],
    ['%v', '[1.5]', '1.5'],
    ['%v', '[1e21]', '1e+21'],
    ['%v', '[0.00001]', '1e-05'],
    ['%v', '[0.0001234]', '0.0001234'],
    ['%v', '[-1.5e-9]', '-1.5e-09'],
    ['%v', '[123456.5]', '123456.5'],
    ['%v', '[1234567.5]', '1.2345675e+06'],
    ['%v', '[1000000000000000.5]', '1.0000000000000005e+15'],
    ['%v', '[1.0]', '1'],
    ['%v', '[-0]', '0'],
    ['%v', '[12345678901234567890123]', '12345678901234567890123'],
    ['%d', '[9007199254740993]', '9007199254740993'],
    ['%d', '[-9223372036854775808]', '-9223372036854775808'],
    ['%x %X', '["hé", "hi~"]', '68c3a9 68697E'],
    ['%x %X', '[255, -255]', 'ff -FF'],
    ['%08x|%08d|%08d', '[255, 42, -42]', '000000ff|00000042|-0000042'],
    ['%-8d|%-05d|%8d', '[-42, -42, -42]', '-42     |-42  |     -42'],
    ['%-5s|%5s|', '["é", "😀"]', 'é    |    😀|'],
    ['%5v|%8v|', '[true, 1.5]', ' true|     1.5|'],
    ['%d%%', '[5]', '5%'],
    ['no place', '[]', 'no place'],
    ['%s and %s', '["a%d", "%s"]', 'a%d and %s'],
    ['%s', '["\\u0000\\n\\"1\\""]', '\u0000\n"1"'],
    ['%s%d', ' [ "1" , 1 ] ', '11'],
  ])('%j of %s is %j', (format, list, text) => {
    expect(formatted(format, list)).toBe(text)
  })

  it.each([
    ['an array', '%v', '[[1]]', 'no array, set or object'],
    ['an object, and not as every other object', '%v', '[{"a":1}]', 'no array, set or object'],
    ['an object that looks like a number', '%v', '[{"n1":1}]', 'no array, set or object'],
    ['a fraction for an integer', '%d', '[1.5]', 'a value that %d does not format'],
    ['a text for an integer', '%d', '["n1"]', 'a value that %d does not format'],
    ['a number for a text', '%s', '[12]', 'a value that %s does not format'],
    ['hexadecimal digits of a fraction', '%x', '[1.5]', 'a value that %x does not format'],
    ['a number that is none', '%v', '[1e999]', 'beyond 64 bits'],
    ['another verb', '%q', '["a"]', 'formats only %s, %v, %d, %x and %X'],
    ['the name of a member of every object', '%constructor', '[1]', 'formats only'],
    ['a precision', '%.2f', '[1.5]', 'formats only'],
    ['a numbered place', '%[1]d', '[1]', 'formats only'],
    ['a lone sign', '100%', '[]', 'formats only'],
    ['too few values', '%d %d', '[1]', 'more places than values'],
    ['too many values', '%d', '[1, 2]', 'more values than places'],
    ['zeros before a text', '%05s', '["a"]', 'only integers with zeros'],
    ['no list', '%v', '{"0":1}', 'takes an array'],
    ['a wide place', '%2000000d', '[1]', 'too long a text'],
    ['many wide places', '%999999d'.repeat(3), '[1,2,3]', 'too long a text'],
  ])('refuses %s', (_, format, list, says) => {
    expect(() => formatted(format, list)).toThrow(says)
  })

  it('tells nothing of the values', () => {
    for (const [format, list] of [
      ['%d', '["SECRET"]'],
      ['%v', '[["SECRET"]]'],
      ['%s', '["SECRET", 1]'],
      ['SECRET %q', '[1]'],
    ] as const) {
      expect(() => formatted(format, list)).toThrow(/^(?!.*SECRET)/)
    }
  })
})
