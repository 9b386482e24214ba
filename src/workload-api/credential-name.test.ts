import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseCredentialName } from './credential-name.ts'

const parse = (text: string) => parseCredentialName(Buffer.from(text, 'latin1'))
const good = '\0' + '8f2a01/unit/payments.service/token'

describe('the name of the service manager (API-164, API-165)', () => {
  it.each<[string, string, string]>([
    ['a service', 'payments.service', 'token'],
    ['an instance', 'worker@3.service', 'a.b_c-D9'],
    ['an escaped instance', 'dev@dev-disk\\x2dby.service', 'token'],
    ['a socket', 'front.socket', 'token'],
    ['a mount', 'srv-data.mount', 'token'],
    ['a swap', 'dev-sda.swap', 'token'],
    ['an id of 255', 'a.service', 'i'.repeat(255)],
    ['an id of dots', 'a.service', '...'],
  ])('of %s is read', (_, unit, id) => {
    for (const hex of ['0', '1f', 'ffffffffffffffff']) {
      expect(parse(`\0${hex}/unit/${unit}/${id}`)).toEqual({ unit, id })
    }
  })

  it.each<[string, string]>([
    ['none at all', ''],
    ['NUL alone', '\0'],
    ['a path in place of an abstract name', good.slice(1)],
    ['a leading @ as it is written', `@${good.slice(1)}`],
    ['two NULs', `\0${good}`],
    ['a NUL behind', `${good}\0`],
    ['a NUL inside', good.replace('token', 'to\0ken')],
    ['a newline behind', `${good}\n`],
    ['no hex', good.replace('8f2a01', '')],
    ['17 digits', good.replace('8f2a01', 'f'.repeat(17))],
    ['capitals', good.replace('8f2a01', '8F2A01')],
    ['another word', good.replace('/unit/', '/user/')],
    ['no unit', '\0' + '8f/unit//token'],
    ['no id', '\0' + '8f/unit/payments.service/'],
    ['no id at all', '\0' + '8f/unit/payments.service'],
    ['a further part', `${good}/more`],
    ['a unit without suffix', good.replace('.service', '')],
    ['a suffix alone', good.replace('payments', '')],
    ['a scope, which loads nothing', good.replace('.service', '.scope')],
    ['a slice', good.replace('.service', '.slice')],
    ['a template, which runs nothing', good.replace('payments', 'payments@')],
    ['a unit of 256', good.replace('payments', 'p'.repeat(248))],
    ['a space in the unit', good.replace('payments', 'pay ments')],
    ['a letter beyond ASCII', good.replace('payments', 'p\u00e4yments')],
    ['an id of 256', good.replace('token', 'i'.repeat(256))],
    ['the id .', good.replace('token', '.')],
    ['the id ..', good.replace('token', '..')],
    ['a space in the id', good.replace('token', 'to ken')],
    ['a percent escape', good.replace('token', 'to%6ben')],
  ])('that has %s is refused', (_, name) => {
    expect(parse(name)).toBeNull()
  })

  it('is nothing but that, whatever bytes there are', () => {
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 108 }),
      fc.string().map((text) => Buffer.from(`\0${text}`)),
    )
    fc.assert(fc.property(anything, (bytes) => parseCredentialName(bytes) === null))
  })

  it('has one meaning only: one changed byte gives another name, or none', () => {
    const bytes = Buffer.from(good, 'latin1')
    const change = fc.tuple(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }))
    fc.assert(
      fc.property(change, ([at, flip]) => {
        const other = Buffer.from(bytes)
        other[at] = (other[at] ?? 0) ^ flip
        const found = parseCredentialName(other)
        if (found === null) return
        const written = `/unit/${found.unit}/${found.id}`
        expect(other.toString('latin1').endsWith(written)).toBe(true)
        expect(other.toString('latin1').slice(0, -written.length)).toMatch(/^\0[0-9a-f]{1,16}$/)
      }),
    )
  })
})
