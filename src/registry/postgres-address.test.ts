import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AttestdError } from '../base/errors.ts'
import { parsePostgresAddress } from './postgres-address.ts'

function refusal(url: string): AttestdError {
  try {
    parsePostgresAddress(url)
  } catch (error) {
    if (error instanceof AttestdError && error.code === 'registry_address') return error
    throw error
  }
  throw new Error(`${url} was taken`)
}

describe('the URL of a registry', () => {
  it('names a server, how it is protected, and a place without its password', () => {
    const url =
      'postgresql://us%40er:p%2Fw%3A@db.example:6543/reg%20istry?sslmode=verify-full&sslrootcert=/etc/root.pem'
    expect(parsePostgresAddress(url)).toEqual({
      ...{ host: 'db.example', port: 6543, user: 'us@er', password: 'p/w:', database: 'reg istry' },
      tls: { mode: 'verify-full', root: '/etc/root.pem', own: null },
      place: 'postgresql://us%40er@db.example:6543/reg%20istry',
    })
  })

  it('may name the directory of a Unix socket, where nothing is encrypted', () => {
    expect(parsePostgresAddress('postgres://u@/d?host=%2Frun%2Fpostgresql&sslmode=require')).toMatchObject({
      ...{ host: '/run/postgresql', port: 5432, user: 'u', password: null, database: 'd', tls: null },
    })
    expect(parsePostgresAddress('postgresql://u@:6000/d?host=/run/p')).toMatchObject({ host: '/run/p', port: 6000 })
  })

  it('may name an IPv6 address', () => {
    const { host, place } = parsePostgresAddress('postgresql://u@[::1]/d?sslmode=disable')
    expect([host, place]).toEqual(['::1', 'postgresql://u@[::1]:5432/d'])
  })

  it.each([
    ['sslmode=disable', null],
    ['sslmode=require', { mode: 'require', root: null, own: null }],
    ['sslmode=require&sslrootcert=/r', { mode: 'verify-ca', root: '/r', own: null }],
    ['sslmode=verify-ca&sslrootcert=/r', { mode: 'verify-ca', root: '/r', own: null }],
    ['sslmode=verify-full&sslrootcert=system', { mode: 'verify-full', root: 'system', own: null }],
    ['sslmode=require&sslcert=/c&sslkey=/k', { mode: 'require', root: null, own: { certificate: '/c', key: '/k' } }],
  ])('means by %s what PostgreSQL means', (query, tls) => {
    expect(parsePostgresAddress(`postgresql://u:p@h/d?${query}`).tls).toEqual(tls)
  })

  it.each([
    ['', 'form'],
    ['http://u:p@h/d', 'form'],
    ['postgresql://u:secret@h', 'form'],
    ['postgresql://u:secret@h:99999999/d', 'form'],
    ['postgresql://u:secret@h1,h2/d?sslmode=disable', 'form'],
    ['postgresql://u:sec/ret@h/d?sslmode=disable', 'form'],
    ['postgresql://u:secret@h/d/e?sslmode=disable', 'form'],
    ['postgresql://u:secret@h/d?sslmode=disable#x', 'form'],
    ['postgresql://u:secret@h:0/d?sslmode=disable', 'port'],
    ['postgresql://u:secret@h:65536/d?sslmode=disable', 'port'],
    ['postgresql://:secret@h/d?sslmode=disable', 'missing'],
    ['postgresql://u:secret@h/?sslmode=disable', 'missing'],
    ['postgresql://u:secret@/d?sslmode=disable', 'missing'],
    ['postgresql://u:secret@h/d', 'sslmode'],
    ['postgresql://u:secret@h/d?sslmode=prefer', 'sslmode'],
    ['postgresql://u:secret@h/d?sslmode=allow', 'sslmode'],
    ['postgresql://u:secret@h/d?sslmode=Disable', 'sslmode'],
    ['postgresql://u:secret@h/d?sslmode=verify-full', 'sslrootcert'],
    ['postgresql://u:secret@h/d?sslmode=verify-ca', 'sslrootcert'],
    ['postgresql://u:secret@h/d?sslmode=verify-ca&sslrootcert=system', 'system'],
    ['postgresql://u:secret@h/d?sslmode=require&sslcert=/c', 'together'],
    ['postgresql://u:secret@h/d?sslmode=disable&sslmode=require', 'twice'],
    ['postgresql://u:secret@h/d?sslmode=disable&password=secret', 'parameter'],
    ['postgresql://u:secret@h/d?host=/run&sslmode=disable', 'other host'],
    ['postgresql://u:secret@/d?host=run', 'absolute'],
    ['postgresql://u:secret%zz@h/d?sslmode=disable', 'percent'],
    ['postgresql://u:secret%00@h/d?sslmode=disable', 'percent'],
    [`postgresql://u:secret@h/d?sslmode=disable&sslrootcert=${'x'.repeat(5000)}`, 'form'],
  ])('is refused: %s', (url, says) => {
    const { message, facts, remedy, cause } = refusal(url)
    expect(message).toContain(says)
    expect(JSON.stringify([message, facts, remedy])).not.toContain('secret')
    expect(cause).toBeUndefined()
  })

  it('keeps any password, and shows none', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (tail) => {
        const password = `Zq9${tail}`
        const url = `postgresql://u:${encodeURIComponent(password)}@h/d?sslmode=disable`
        if (password.includes('\0')) return void refusal(url)
        const address = parsePostgresAddress(url)
        expect([address.password, address.place]).toEqual([password, 'postgresql://u@h:5432/d'])
      }),
    )
  })
})
