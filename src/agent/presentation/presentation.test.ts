import { describe, expect, it } from 'vitest'
import { MalformedError } from '../../base/errors.ts'
import { reportError } from './errors.ts'
import { renderFindings, renderVerdict } from './findings.ts'
import { type CommandIo, escaped } from './terminal.ts'

function recorder(): CommandIo & { written: string } {
  const io = { written: '', terminal: false, colour: false, out: add, err: add }
  function add(text: string): void {
    io.written += text
  }
  return io
}

const catalogue = {
  'x.one': { title: 'one holds', rule: 'X-1', remedy: 'do this' },
  'x.second': { title: 'two holds', rule: 'X-2', remedy: 'do that' },
}

describe('what a person sees', () => {
  it('lists findings with the remedy of what failed, and nothing that a terminal would obey', () => {
    const findings = [
      { id: 'x.one', outcome: 'passed' as const },
      { id: 'x.second', outcome: 'failed' as const, detail: 'was \u001b[31m7' },
    ]
    expect(renderFindings(findings, catalogue, recorder())).toBe(
      'passed     x.one     one holds\nFAILED     x.second  two holds: was \\x1b[31m7\n                     X-2: do that\n',
    )
    expect(renderVerdict({ affirmed: false, findings }, recorder())).toBe('NOT affirmed: 1 of 2 checks failed\n')
  })

  it('reports an error with code, place and remedy, and gives the exit code', () => {
    const io = recorder()
    expect(reportError(new MalformedError({ path: 'quote', offset: 6 }, 'is short'), io, false)).toBe(65)
    expect(io.written).toMatch(/^error MALFORMED: quote: is short \(at byte 6\)\n {2}remedy: /)
    const json = recorder()
    reportError(new MalformedError({ path: 'quote' }, 'is short'), json, true)
    expect(JSON.parse(json.written)).toMatchObject({
      error: { code: 'MALFORMED', kind: 'malformed', retryable: false },
    })
  })

  it('does not take a bug for an error', () => {
    expect(() => reportError(new TypeError('bug'), recorder(), false)).toThrow(TypeError)
  })

  it('escapes right-to-left marks and line breaks', () => {
    expect(escaped('a\u202eb\nc')).toBe('a\\u{202e}b\\x0ac')
  })
})
