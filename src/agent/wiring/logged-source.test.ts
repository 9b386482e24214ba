import { describe, expect, it } from 'vitest'
import { embeddedErrors } from '../embedded/errors.ts'
import { createLog } from '../log.ts'
import { loggedSource } from './logged-source.ts'
import { plainRequest } from './settings.ts'

describe('a source whose failures are logged', () => {
  it('names the checks that failed, and passes the error on', async () => {
    const lines: string[] = []
    const log = createLog('info', { journal: true, write: (line) => lines.push(line) })
    const failure = embeddedErrors.error('EVIDENCE_NOT_AFFIRMED', 'failed: tpm.quote.nonce', {
      facts: { findings: 'tpm.quote.nonce' },
    })
    const source = {
      name: 'local',
      generation: 1,
      usualLifetimeS: 900,
      obtainToken: () => Promise.reject(failure),
      acceptToken: () => expect.unreachable(),
    }
    await expect(loggedSource(source, log).obtainToken(plainRequest('a'), new AbortController().signal)).rejects.toBe(
      failure,
    )
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/^<4>.*"code":"EVIDENCE_NOT_AFFIRMED","kind":"refused","findings":"tpm.quote.nonce"/)
  })
})
