import { describe, expect, it } from 'vitest'
import { passportErrors } from '../../passport/errors.ts'
import { embeddedErrors } from '../embedded/errors.ts'
import { createLog } from '../log.ts'
import { loggedSource } from './logged-source.ts'
import { plainRequest } from './plain-request.ts'

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

  it('says which check a token failed that came and is not served', async () => {
    const lines: string[] = []
    const log = createLog('info', { journal: true, write: (line) => lines.push(line) })
    const facts = { check: 'BRK-107' }
    const failure = passportErrors.error('issuer_bad_token', 'no quote was sent for this token', { facts })
    const source = {
      name: 'elsewhere',
      generation: 1,
      usualLifetimeS: 900,
      obtainToken: () => expect.unreachable(),
      acceptToken: () => Promise.reject(failure),
    }
    await expect(loggedSource(source, log).acceptToken('a.b.c', plainRequest('a'))).rejects.toBe(failure)
    expect(lines[0]).toMatch(/^<4>.*"issuer":"elsewhere","code":"issuer_bad_token","check":"BRK-107"/)
    expect(lines[0]).not.toContain('a.b.c')
  })
})
