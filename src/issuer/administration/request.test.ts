import type { FastifyRequest } from 'fastify'
import { describe, expect, it } from 'vitest'
import { readMembers, readNumber, readQuery, readUpload } from './request.ts'

/** What the administration reads of a request, and in which words it refuses. */

const request = (url: string, headers: Readonly<Record<string, string>> = {}, body?: Uint8Array) =>
  ({ url, headers, body }) as unknown as FastifyRequest
const json = (text: string) => request('/x', { 'content-type': 'application/json' }, Buffer.from(text))
const upload = (type: string, encoding?: string) =>
  request(
    '/x',
    { 'content-type': type, ...(encoding === undefined ? {} : { 'content-encoding': encoding }) },
    Buffer.from('a'),
  )

function refusalOf(read: () => unknown): unknown {
  try {
    return read()
  } catch (error) {
    return error
  }
}

describe('parameters of a query', () => {
  it('are read by their names, each once', () => {
    expect(readQuery(request('/x?a=1&b=%202'), ['a', 'b'])).toEqual(
      new Map([
        ['a', '1'],
        ['b', ' 2'],
      ]),
    )
    for (const [query, field] of [
      ['a=1&a=1', 'a'],
      ['A=1', 'A'],
      ['c', 'c'],
    ]) {
      expect(refusalOf(() => readQuery(request(`/x?${query}`), ['a']))).toMatchObject({
        ...{ code: 'ADMINISTRATION_REQUEST_INVALID', facts: { field } },
      })
    }
  })
})

describe('a name that somebody sent', () => {
  const named = (name: string) => [
    () => readQuery(request(`/x?${encodeURIComponent(name)}=1`), ['a']),
    () => readMembers(json(JSON.stringify({ [name]: 1 })), ['a']),
  ]

  it.each([
    ['is cut', 'x'.repeat(65), 'x'.repeat(64)],
    ['shows control characters as escapes: it goes into logs and onto terminals', 'a\u001b[2J\n', 'a\\u001b[2J\\n'],
  ])('%s in the refusal', (_, name, shown) => {
    for (const read of named(name)) {
      expect(refusalOf(read)).toMatchObject({ code: 'ADMINISTRATION_REQUEST_INVALID', facts: { field: shown } })
    }
  })
})

describe('a number', () => {
  it.each([
    ['1', 1],
    ['999999999', 999_999_999],
  ])('%s is taken', (text, number) => {
    expect(readNumber('number', text)).toBe(number)
  })

  it.each(['0', '01', '1000000000', '-1', '1.0', '1e3', ' 1', '', undefined])('%j is refused', (text) => {
    expect(refusalOf(() => readNumber('number', text))).toMatchObject({ facts: { field: 'number' } })
  })
})

describe('an upload', () => {
  it.each(['text/plain', 'TEXT/Plain ; charset=utf-8', 'application/octet-stream', 'application/jwt'])(
    'of type %s is taken',
    (type) => {
      expect(readUpload(upload(type))).toEqual(Uint8Array.of(97))
      expect(readUpload(upload(type, 'identity'))).toEqual(Uint8Array.of(97))
    },
  )

  it.each([
    ['application/json', undefined],
    ['', undefined],
    ['text/plainer', undefined],
    ['text/plain', 'gzip'],
    ['text/plain', ''],
  ])('of type %j in encoding %j is refused', (type, encoding) => {
    expect(refusalOf(() => readUpload(upload(type, encoding)))).toMatchObject({
      ...{ code: 'ADMINISTRATION_MEDIA_TYPE', facts: { field: 'content-type' } },
    })
  })

  it('is its bytes and none beside them, and empty where there is no body (POL-111)', () => {
    const around = Buffer.from('secret policy secret')
    const body = around.subarray(7, 13)
    expect(Buffer.from(readUpload(request('/x', { 'content-type': 'text/plain' }, body))).toString()).toBe('policy')
    expect(readUpload(request('/x', { 'content-type': 'text/plain' }))).toEqual(new Uint8Array())
  })
})

describe('members of a body', () => {
  it('are none where there is no body, of whatever type', () => {
    expect(readMembers(request('/x'), ['a'])).toEqual({})
    expect(readMembers(request('/x', { 'content-type': 'text/plain' }, new Uint8Array()), ['a'])).toEqual({})
  })

  it('are read from JSON alone', () => {
    expect(readMembers(json('{"a":1}'), ['a'])).toEqual({ a: 1 })
    const plain = request('/x', { 'content-type': 'text/plain' }, Buffer.from('{"a":1}'))
    expect(refusalOf(() => readMembers(plain, ['a']))).toMatchObject({ code: 'ADMINISTRATION_MEDIA_TYPE' })
  })

  const many = (count: number) => Array.from({ length: count }, (_, at) => `m${at}`)
  const objectOf = (names: readonly string[]) =>
    json(JSON.stringify(Object.fromEntries(names.map((name) => [name, 1]))))

  it('are at most eight, flat, and no fractions', () => {
    expect(Object.keys(readMembers(objectOf(many(8)), many(9)))).toHaveLength(8)
    for (const read of [objectOf(many(9)), json('{"m0":{"a":[]}}'), json('{"m0":1.5}'), json('[]'), json('{')]) {
      expect(refusalOf(() => readMembers(read, many(9)))).toBeInstanceOf(Error)
    }
  })
})
