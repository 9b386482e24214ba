import { describe, expect, it } from 'vitest'
import { lineOfKey } from './toml-lines.ts'

const text = `# comment
title = "x"
[tpm]
tcti = "device:/dev/tpmrm0"
  "odd key" = 1
a.b = 2

[[callers.rules]]
id = "one"
[callers.rules.match]
uid = 1
[[callers.rules]]
id = "two"
allow = { methods = ["token"],
  audiences = ["a"] }
`

describe('the line of a key', () => {
  it.each([
    [['title'], 2],
    [['tpm', 'tcti'], 4],
    [['tpm', 'odd key'], 5],
    [['tpm', 'a', 'b'], 6],
    [['callers', 'rules', 0, 'id'], 9],
    [['callers', 'rules', 0, 'match', 'uid'], 11],
    [['callers', 'rules', 1, 'id'], 13],
    [['callers', 'rules', 1, 'allow', 'methods', 0], 14],
    [['callers', 'rules', 1, 'missing'], 12],
    [['nowhere'], 1],
  ])('%j stands in line %i', (path, line) => {
    expect(lineOfKey(text, path)).toBe(line)
  })
})
