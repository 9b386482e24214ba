import { describe, expect, it } from 'vitest'
import { nearWords } from './near-words.ts'

describe('words that are nearly another', () => {
  it.each<[string, string[]]>([
    ['premit', ['permit']],
    ['permi', ['permit']],
    ['permitted', []],
    ['den', ['deny']],
    ['permit', ['permit']],
    ['', []],
    ['issue', ['issue']],
    ['ise', ['issue']],
  ])('%s: %j', (word, expected) => {
    expect(nearWords(word, ['permit', 'deny', 'issue', 'issueproperty'])).toEqual(expected)
  })
})
