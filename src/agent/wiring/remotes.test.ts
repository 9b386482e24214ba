import { describe, expect, it } from 'vitest'
import { createSimulator } from '../../../mocks/tdx/simulator.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { seededRandom } from '../../../test/support/seeded-random.ts'
import { parseConfiguration } from '../configuration/load.ts'
import { createLog } from '../log.ts'
import { plainRequest } from './plain-request.ts'
import { remoteSources } from './remotes.ts'
import type { WatchedTd } from './watched-td.ts'

const issuer = 'https://attest.example'
const clock = new FakeClock(Date.UTC(2026, 5, 1))
const simulator = createSimulator({ clock })

/** The source of one remote verifier with these lines, and what it writes into the log. */
function sourceOf(...lines: readonly string[]) {
  const text = `[issuer]\nurl = "https://own.example"\n[[remotes]]\nname = "r"\ndialect = "alibaba"\nissuer = "${issuer}"\n${lines.join('\n')}\n`
  const { remotes } = parseConfiguration(text, 'attestd.toml')
  const logged: string[] = []
  const log = createLog('info', { journal: false, write: (line) => logged.push(line) })
  const attester = {
    collect: async (reportData: Uint8Array) => ({ quote: simulator.quote({ reportData }), ccEventLog: null }),
  } as unknown as WatchedTd
  const host = { clock, random: seededRandom(3), libc: null, testMode: null }
  const settings = remotes.map((section) => ({ section, jwks: null }))
  const [source] = remoteSources(settings, 7, { host, log, attester, simulator: false })
  if (!source) throw new Error('no source')
  return { source, logged }
}

describe('a remote verifier as it is configured', () => {
  it('has its name, the generation, and its issuer as the one audience', () => {
    expect(sourceOf().source).toMatchObject({
      name: 'r',
      generation: 7,
      usualLifetimeS: 21_600,
      fixedAudience: [issuer],
    })
  })

  it('has another audience where one is named', () => {
    expect(sourceOf('audience = "urn:of:the:service"').source.fixedAudience).toEqual(['urn:of:the:service'])
  })

  it('is asked at its endpoints, in their order, and the log says what failed, without the evidence', async () => {
    const { source, logged } = sourceOf(
      'endpoints = ["http://127.0.0.1:1", "http://127.0.0.1:2"]',
      'allow_http_loopback = true',
    )
    const request = { ...plainRequest(issuer), issuer: 'r', audience: [] }
    const failure = await source.obtainToken(request, new AbortController().signal).catch((error) => error)
    expect(failure).toMatchObject({
      code: 'issuer_unavailable',
      facts: { endpoint: 'http://127.0.0.1:1/v1/attestation', network_code: 'ECONNREFUSED' },
    })
    expect(logged).toHaveLength(1)
    expect(logged[0]).toContain('"event":"no_token"')
    expect(logged[0]?.length).toBeLessThan(500)
  })
})
