import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  type AttesterCall,
  EmbeddedMachine,
  embeddedIssuer,
  embeddedRequest,
  type MachineOptions,
} from '../../../test/support/embedded-machine.ts'
import { ekAuthority, maker } from '../../../test/support/enrolling-tpm.ts'
import { settled } from '../../../test/support/fake-clock.ts'
import { issueCrl, testNow } from '../../../test/support/test-ca.ts'
import { toBase64url } from '../../base/bytes.ts'
import { AttestdError } from '../../base/errors.ts'
import { sha256Hex } from '../../base/pki/signed-object.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import { nameOf } from '../../evidence/tpm/public-area.ts'
import { platformErrors } from '../../platform/errors.ts'
import { storeErrors } from '../../registry/store-errors.ts'
import { TpmRegistry } from '../../registry/tpm-registry.ts'
import type { TokenTrust } from '../../relying-party/token-trust.ts'
import { createTokenVerifier } from '../../relying-party/token-verifier.ts'
import type { TokenRequest } from '../../results/token-request.ts'
import { spkiOfKey } from '../../verifier/tpm/key-certificate.ts'

const never = new AbortController().signal
const second = 1000
const jkt = toBase64url(createHash('sha256').update('key').digest())
const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

/** Obtains tokens of one machine, and gives their claims, or the code of what was thrown with its findings. */
async function atMachine(options: MachineOptions = {}) {
  const machine = new EmbeddedMachine(options)
  const { source, keys } = await machine.sourceAndKeys()
  const obtain = (change: Partial<TokenRequest> = {}) => source.obtainToken(embeddedRequest(change), never)
  const outcome = async (change: Partial<TokenRequest> = {}): Promise<string> => {
    try {
      await obtain(change)
      return 'issued'
    } catch (error) {
      if (!(error instanceof AttestdError)) throw error
      const code = error.facts['upstream_code'] ?? error.code
      return [code, error.facts['findings'] ?? error.facts['bound']].filter(Boolean).join(' ')
    }
  }
  return { machine, source, keys, obtain, outcome, claims: async (change = {}) => claimsOf(await obtain(change)) }
}

describe('a token of the bundled verifier', () => {
  it('says what the quote covered: audience, nonces, key, and that it was challenged', async () => {
    const { claims, source, obtain } = await atMachine()
    const change = { nonces: ['nonce-0001', 'nonce-0002'], ttlS: 120, cnf: { jkt, jwk: {} } }
    const given = await claims(change)
    expect(given).toMatchObject({
      iss: embeddedIssuer,
      aud: 'https://rp.example',
      eat_nonce: ['nonce-0001', 'nonce-0002'],
      cnf: { jkt },
      acr: 'urn:attestd:acr:tpm',
      tee: 'tpm',
      exp: given.iat + 120,
      tpm: { ak_trust: 'ek-certificate', ek_anchor: 'example', eventlog_verified: true, nonce_matched: true },
      ima: { verified: true, sha1_padded: false },
      attestd: { simulated: false, freshness: 'challenge', appraisedAt: testNow / 1000 },
    })
    // There are no reference values to compare PCRs with.
    expect(given.attestd.waived).toEqual(['IMA-13', 'IMA-15', 'TPM-25'])
    expect(given['evaluation-reports']).toMatchObject([{ 'policy-id': 'builtin' }])
    const accepted = await source.acceptToken(await obtain(change), embeddedRequest(change))
    expect(accepted).toMatchObject({ issuer: embeddedIssuer, audience: ['https://rp.example'] })
  })

  it.each<[string, Partial<TokenRequest>]>([
    ['nothing', {}],
    ['its audience', { audience: ['https://other.example'] }],
    ['its nonces', { nonces: ['nonce-0001'] }],
    ['its life', { ttlS: 60 }],
    ['its key', { cnf: { jkt, jwk: {} } }],
  ])('rests on a quote of its own, also where a request differs from another in %s', async (_what, change) => {
    const { machine, obtain } = await atMachine()
    await obtain()
    await obtain(change)
    const [first, next] = machine.quoted
    expect([first?.length, next?.length]).toEqual([32, 32])
    expect(next).not.toEqual(first)
  })

  it('is never issued for evidence that an earlier request was answered with', async () => {
    const { machine, obtain, outcome } = await atMachine()
    const kept: TpmEvidence[] = []
    machine.change = (evidence) => {
      kept.push(evidence)
      return evidence
    }
    await obtain()
    machine.change = () => kept[0] as TpmEvidence
    expect(await outcome()).toBe('EVIDENCE_NOT_AFFIRMED tpm.quote.nonce, tpm.counters.rollback')
  })

  it('is never issued for a clock that does not go on (TPM-26)', async () => {
    const { machine, obtain, outcome } = await atMachine()
    await obtain()
    machine.tpm.passTime(-1n)
    expect(await outcome()).toBe('EVIDENCE_NOT_AFFIRMED tpm.counters.rollback')
    machine.tpm.passTime(10n)
    expect(await outcome()).toBe('issued')
  })

  it('is for one audience', async () => {
    const { machine, outcome } = await atMachine()
    expect(await outcome({ audience: ['a', 'b'] })).toBe('audience_unsupported')
    expect(await outcome({ audience: [] })).toBe('audience_unsupported')
    expect(machine.calls).toEqual([])
  })

  it('needs evidence within the life of its challenge', async () => {
    const { machine, outcome } = await atMachine()
    const slow = (ms: number) => async (evidence: TpmEvidence) => {
      await machine.clock.advance(ms)
      return evidence
    }
    machine.change = slow(300 * second - 1)
    expect(await outcome()).toBe('issued')
    machine.change = slow(300 * second)
    expect(await outcome()).toBe('CHALLENGE_SPENT')
  })

  it('is asked for one after another: the quotes come in the order of their counters (ENR-12)', async () => {
    const { machine, outcome } = await atMachine()
    let underWay = 0
    machine.change = async (evidence) => {
      expect(++underWay).toBe(1)
      await new Promise((resolve) => setImmediate(resolve))
      underWay--
      return evidence
    }
    expect(await Promise.all([1, 2, 3].map(() => outcome()))).toEqual(['issued', 'issued', 'issued'])
    expect(machine.calls.filter((call) => call === 'identity')).toHaveLength(1)
  })
})

describe('the enrolment of the attestation key', () => {
  it('is kept after evidence that was refused for another reason', async () => {
    const { machine, outcome } = await atMachine()
    machine.change = (evidence) => ({ ...evidence, eventLog: null })
    expect(await outcome()).toBe('EVIDENCE_NOT_AFFIRMED tpm.eventlog.present')
    machine.change = (evidence) => evidence
    expect(await outcome()).toBe('issued')
    expect(machine.calls).toEqual([...['identity', 'activate', 'selection', 'collect'], ...['selection', 'collect']])
  })

  it('is made again after the attester has another key, and after the TPM was replaced', async () => {
    const { machine, outcome } = await atMachine()
    expect(await outcome()).toBe('issued')
    machine.loseKey()
    expect(await outcome()).toBe('EVIDENCE_NOT_AFFIRMED tpm.ak.known')
    expect(await outcome()).toBe('issued')
    machine.replaceTpm()
    expect(await outcome()).toBe('EVIDENCE_NOT_AFFIRMED tpm.ak.known, tpm.quote.signer')
    // Both TPMs have a certificate of the same instance; the first one holds its identity (ENR-09).
    expect(await outcome()).toBe('identity_conflict')
  })
})

describe('callers who do not wait, and a TPM that fails', () => {
  const failed = () => platformErrors.error('TPM_TIMEOUT', 'no response')

  it.each<AttesterCall>(['identity', 'activate', 'selection', 'collect'])(
    'cost the next caller nothing, however often %s fails',
    async (failing) => {
      const { machine, outcome } = await atMachine()
      machine.hook = (call) => {
        if (call === failing) throw failed()
      }
      for (let attempt = 0; attempt < 10; attempt++) expect(await outcome()).toBe('TPM_TIMEOUT')
      machine.hook = () => undefined
      expect(await outcome()).toBe('issued')
    },
  )

  it('cost the next caller nothing, however often they hang up while the TPM quotes', async () => {
    const { machine, source, outcome } = await atMachine()
    expect(await outcome()).toBe('issued')
    for (let caller = 0; caller < 10; caller++) {
      const hangUp = new AbortController()
      machine.hook = (call) => {
        if (call === 'collect') hangUp.abort(new Error('hung up'))
      }
      await expect(source.obtainToken(embeddedRequest(), hangUp.signal)).rejects.toThrow('hung up')
    }
    machine.hook = () => undefined
    expect(await outcome()).toBe('issued')
  })

  it('do not end the enrolment that others wait for, and are answered at once', async () => {
    const { machine, source, outcome } = await atMachine()
    let activated: () => void = () => undefined
    const activating = new Promise<void>((reached) => {
      machine.hook = (call) => {
        if (call !== 'activate') return
        reached()
        return new Promise((resolve) => {
          activated = resolve
        })
      }
    })
    const hangUp = new AbortController()
    const leaving = source.obtainToken(embeddedRequest(), hangUp.signal)
    await activating
    hangUp.abort(new Error('hung up'))
    await expect(leaving).rejects.toThrow('hung up')
    const waiting = outcome()
    activated()
    expect(await waiting).toBe('issued')
    expect(machine.calls.filter((call) => call === 'activate')).toHaveLength(1)
  })

  it('leave no enrolment behind when the agent stops', async () => {
    const { machine, source } = await atMachine()
    machine.hook = (call) => {
      if (call !== 'activate') return
      machine.end()
      return new Promise(() => undefined)
    }
    await expect(source.obtainToken(embeddedRequest(), never)).rejects.toThrow('the agent stops')
  })
})

describe('an audience whose tokens name a key', () => {
  it('is refused without one before the TPM is troubled, and it is no verdict on the machine', async () => {
    const { machine, obtain, outcome, claims } = await atMachine()
    await expect(obtain({ audience: ['of-key'] })).rejects.toMatchObject({
      code: 'audience_unsupported',
      status: 409,
      remedy: expect.stringContaining('cnf'),
    })
    expect(machine.calls).toEqual([])
    expect(await claims({ audience: ['of-key'], cnf: { jkt, jwk: {} } })).toMatchObject({ cnf: { jkt } })
    expect(await outcome()).toBe('issued')
  })
})

describe('a change of the settings', () => {
  it('enrols again, and forgets no counters: what was refused before is refused behind it (TPM-26)', async () => {
    const { machine, claims, outcome } = await atMachine()
    expect(await claims()).toMatchObject({ tpm: { new_boot: true } })
    const { source } = await machine.sourceAndKeys()
    expect(claimsOf(await source.obtainToken(embeddedRequest(), never))).toMatchObject({ tpm: { new_boot: false } })
    machine.tpm.passTime(-1n)
    const { source: next } = await machine.sourceAndKeys()
    await expect(next.obtainToken(embeddedRequest(), never)).rejects.toMatchObject({
      facts: { findings: 'tpm.counters.rollback' },
    })
    expect(await outcome()).toBe('issued')
    expect(machine.calls.filter((call) => call === 'activate')).toHaveLength(3)
  })

  it('costs no request that is under way: those of both sources take turns', async () => {
    const { machine, source } = await atMachine()
    const { source: next } = await machine.sourceAndKeys()
    machine.change = async (evidence) => {
      await new Promise((resolve) => setImmediate(resolve))
      return evidence
    }
    const both = [source, next, source, next].map((one) => one.obtainToken(embeddedRequest(), never))
    expect((await Promise.all(both)).map((token) => claimsOf(token).tee)).toEqual(['tpm', 'tpm', 'tpm', 'tpm'])
  })
})

describe('the life of a token (TOK-44)', () => {
  const lists = (seconds: number) => [
    issueCrl({ signer: ekAuthority, nextUpdate: testNow + seconds * second }),
    issueCrl({ signer: maker, nextUpdate: testNow + 86_400 * second }),
  ]

  it('ends with the EK certificate', async () => {
    const { machine, claims, outcome } = await atMachine({ certificate: { notAfter: testNow + 100 * second } })
    expect(await claims()).toMatchObject({ exp: testNow / second + 100 })
    await machine.clock.advance(71 * second)
    expect(await outcome()).toBe('TOKEN_LIFE_TOO_SHORT EK certificate')
    await machine.clock.advance(30 * second)
    expect(await outcome()).toBe('ENROLMENT_NOT_AFFIRMED tpm.ek.validity')
  })

  it('ends with the revocation lists, and without current ones there is none where they are required', async () => {
    const options = { trust: { crls: lists(100) }, verifier: { revocation: 'required' } }
    const { machine, claims, outcome } = await atMachine(options)
    expect(await claims()).toMatchObject({ exp: testNow / second + 100, tpm: { crl_status: 'fresh' } })
    await machine.clock.advance(71 * second)
    expect(await outcome()).toBe('TOKEN_LIFE_TOO_SHORT revocation list')
    await machine.clock.advance(30 * second)
    expect(await outcome()).toBe('ENROLMENT_NOT_AFFIRMED tpm.ek.revocation')
  })

  it('is not bound by lists that have ended, where they are optional: the token says so', async () => {
    const { machine, claims } = await atMachine({ trust: { crls: lists(100) } })
    expect(await claims()).toMatchObject({ tpm: { crl_status: 'fresh' } })
    await machine.clock.advance(101 * second)
    const later = await claims()
    expect(later).toMatchObject({ exp: later.iat + 900, tpm: { crl_status: 'stale', new_boot: false } })
  })
})

describe('the instance that the configuration names (EKC-09)', () => {
  it('must be the one of the EK certificate, and is then claimed', async () => {
    const { claims } = await atMachine({ verifier: { instance_id: 'i-1' } })
    expect(await claims()).toMatchObject({ tpm: { instance_id: 'i-1' } })
    const { outcome } = await atMachine({ verifier: { instance_id: 'i-2' } })
    expect(await outcome()).toBe('ENROLMENT_NOT_AFFIRMED tpm.ek.instance')
  })

  it('is not claimed where none is named, whatever the certificate says', async () => {
    const { claims } = await atMachine()
    expect((await claims()).tpm).not.toHaveProperty('instance_id')
  })
})

describe('simulation (TPM-30, TOK-04)', () => {
  it('is refused by a verifier of real TPMs', async () => {
    const { outcome } = await atMachine({ simulated: true })
    expect(await outcome()).toBe('ENROLMENT_NOT_AFFIRMED tpm.ek.hardware')
  })

  it.each([[true], [false]])('is in every token of a simulator, also where the attester says %s', async (simulated) => {
    const { machine, claims } = await atMachine({ simulator: true, simulated })
    expect(await claims()).toMatchObject({ acr: 'urn:attestd:acr:simulated', attestd: { simulated: true } })
    machine.change = (evidence) => ({ ...evidence, simulated: !simulated })
    expect(await claims()).toMatchObject({ acr: 'urn:attestd:acr:simulated', attestd: { simulated: true } })
    const hardware = machine.appraisals.snapshot().enrolment?.findings.find(({ id }) => id === 'tpm.ek.hardware')
    expect(hardware?.outcome).toBe('waived')
  })

  it('is in every token of a simulator, also for a pinned EK that nobody says is simulated', async () => {
    const machine = new EmbeddedMachine()
    const pinned = sha256Hex(spkiOfKey(machine.tpm.ek.area))
    const { claims } = await atMachine({ simulator: true, tpm: machine.tpm, verifier: { ek_pinned: [pinned] } })
    expect(await claims()).toMatchObject({
      acr: 'urn:attestd:acr:simulated',
      attestd: { simulated: true },
      tpm: { ak_trust: 'ek-pinned' },
    })
  })
})

describe('what the operator decides about the enrolment', () => {
  async function enrolled() {
    const { machine, outcome, obtain } = await atMachine()
    const registry = new TpmRegistry({ store: machine.store, clock: machine.clock, random: randomBytes })
    expect(await outcome()).toBe('issued')
    const keys = () => ({ ak: machine.tpm.akName, ek: nameOf(machine.tpm.ek.area) })
    return { machine, outcome, obtain, registry, keys }
  }

  it('is a verdict on this machine, with the code and remedy of the registry (BRK-47)', async () => {
    const { obtain, registry, keys } = await enrolled()
    await registry.suspend(keys().ak)
    await expect(obtain()).rejects.toMatchObject({
      code: 'issuer_rejected',
      message: 'the enrolment is suspended (operator)',
      facts: { upstream_code: 'enrolment_state', state: 'suspended', reason: 'operator' },
      remedy: expect.stringContaining('attestd registry resume'),
    })
  })

  it('rests until it is resumed', async () => {
    const { outcome, registry, keys } = await enrolled()
    await registry.suspend(keys().ak)
    expect([await outcome(), await outcome()]).toEqual(['enrolment_state', 'enrolment_state'])
    await registry.resume(keys().ak)
    expect(await outcome()).toBe('issued')
  })

  it('ends a key for good; a released TPM enrols with another one, a revoked TPM does not', async () => {
    const { machine, outcome, registry, keys } = await enrolled()
    const first = keys()
    await registry.revoke(first.ak)
    expect([await outcome(), await outcome()]).toEqual(['enrolment_state', 'enrolment_state'])
    expect(keys().ak).toEqual(first.ak)
    await registry.release(first.ek)
    expect([await outcome(), await outcome()]).toEqual(['issued', 'issued'])
    expect(keys().ek).toEqual(first.ek)
    expect(keys().ak).not.toEqual(first.ak)
    expect(await registry.describe(first.ak)).toMatchObject({ state: { is: 'revoked', reason: 'released' } })
    expect(await registry.describe(keys().ak)).toMatchObject({ state: { is: 'active' } })
    expect(machine.calls.filter((call) => call === 'activate')).toHaveLength(2)
  })

  it('counts behind a restart as well: the key that was released is replaced', async () => {
    const { machine, registry, keys } = await enrolled()
    const { ak, ek } = keys()
    await registry.release(ek)
    const { source } = await machine.sourceAndKeys()
    await source.obtainToken(embeddedRequest(), never)
    expect(keys().ak).not.toEqual(ak)
  })
})

describe('the history of a key', () => {
  it('has every verdict, with what stood against it and what the quote said', async () => {
    const { machine, outcome } = await atMachine()
    const registry = new TpmRegistry({ store: machine.store, clock: machine.clock, random: randomBytes })
    expect(await outcome()).toBe('issued')
    machine.change = (evidence) => ({ ...evidence, eventLog: null })
    expect(await outcome()).toBe('EVIDENCE_NOT_AFFIRMED tpm.eventlog.present')
    machine.change = (evidence) => ({ ...evidence, quotes: [] })
    expect(await outcome()).toContain('tpm.quotes.count')
    const [nothing, refused, affirmed, ...others] = await registry.history(machine.tpm.akName)
    const said = { counters: expect.objectContaining({ resetCount: expect.any(Number) }), evidenceSha256: null }
    expect(affirmed).toMatchObject({ ...said, at: testNow, affirmed: true, failed: [] })
    expect(refused).toMatchObject({ ...said, affirmed: false, firmwareVersion: affirmed?.firmwareVersion })
    expect(refused?.failed).toContain('tpm.eventlog.present')
    expect(refused?.counters?.clock).toBeGreaterThan(affirmed?.counters?.clock ?? 0n)
    expect(nothing).toMatchObject({ affirmed: false, counters: null, firmwareVersion: null })
    expect(others).toEqual([])
  })

  it('is no condition of a refusal', async () => {
    const { machine, outcome } = await atMachine()
    expect(await outcome()).toBe('issued')
    machine.change = (evidence) => ({ ...evidence, eventLog: null })
    machine.store.commit = async () => {
      throw storeErrors.error('registry_storage_full', 'no room')
    }
    expect(await outcome()).toBe('EVIDENCE_NOT_AFFIRMED tpm.eventlog.present')
  })
})

describe('requests that come at once', () => {
  const relyingParty = (
    keys: { jwks(): { readonly keys: readonly object[] } },
    audience: string,
    clock: TokenTrust['clock'],
  ) =>
    createTokenVerifier({
      issuer: embeddedIssuer,
      audience,
      keys: { jwks: { keys: keys.jwks().keys as Readonly<Record<string, unknown>>[] } },
      tee: ['tpm'],
      measurements: null,
      requireCommitment: true,
      ...(clock === undefined ? {} : { clock }),
    })

  it('share one quote and one appraisal, and each gets a token of its own that proves so (BRK-85, BRK-86, API-95)', async () => {
    const { machine, source, keys } = await atMachine()
    const wishes = Array.from({ length: 9 }, (_, at) => ({
      audience: [`https://rp${at % 3}.example`],
      nonces: [`nonce-000${at}`],
      ttlS: at % 2 === 0 ? 600 : null,
      cnf: at % 3 === 0 ? { jkt, jwk: {} } : null,
    }))
    const tokens = await Promise.all(wishes.map((wish) => source.obtainToken(embeddedRequest(wish), never)))
    expect(machine.quoted.length).toBeLessThanOrEqual(2)
    expect(machine.ledger.status()).toMatchObject({ requests: 9, largest: expect.any(Number) })
    for (const [at, token] of tokens.entries()) {
      const { audience, nonces } = wishes[at] ?? { audience: [''], nonces: [''] }
      const party = relyingParty(keys, audience[0] ?? '', machine.clock)
      const { findings } = await party.accept(token, { eatNonce: nonces[0] ?? '' })
      expect(findings.find(({ id }) => id === 'token.inclusion')?.outcome).toBe('passed')
      await source.acceptToken(token, embeddedRequest(wishes[at]))
    }
    expect(new Set(tokens.map((token) => claimsOf(token).jti)).size).toBe(9)
    const salts = tokens.map((token) => claimsOf(token).attestd.commitment.salt)
    expect(new Set(salts).size).toBe(9)
  })

  it('do not fail with one that cannot be served: each is judged by itself (SVC-51)', async () => {
    const { machine, outcome } = await atMachine()
    const outcomes = await Promise.all([
      outcome({ nonces: ['nonce-0001'] }),
      outcome({ audience: ['a', 'b'] }),
      // There is no ES256 key.
      outcome({ audience: ['es256'] }),
      outcome({ audience: ['of-key'] }),
      outcome({ nonces: ['short'] }),
      outcome({ ttlS: 10 }),
      outcome({ nonces: ['nonce-0002'] }),
    ])
    expect(outcomes).toEqual([
      'issued',
      'audience_unsupported',
      expect.stringMatching(/KEY/),
      'audience_unsupported',
      'NONCE_INVALID',
      'TOKEN_LIFE_TOO_SHORT request',
      'issued',
    ])
    expect(machine.quoted.length).toBeLessThanOrEqual(2)
  })

  it('all hear the verdict against the machine', async () => {
    const { machine, outcome } = await atMachine()
    await outcome()
    machine.tpm.passTime(-1n)
    const all = await Promise.all([1, 2, 3].map((at) => outcome({ nonces: [`nonce-000${at}`] })))
    expect(new Set(all)).toEqual(new Set(['EVIDENCE_NOT_AFFIRMED tpm.counters.rollback']))
  })

  it('go on where one of them is given up', async () => {
    const { machine, source, outcome } = await atMachine()
    let release = () => {}
    machine.hook = (call) => {
      if (call !== 'collect') return
      return new Promise<void>((resolve) => {
        release = resolve
      })
    }
    const gone = new AbortController()
    const given = source.obtainToken(embeddedRequest({ nonces: ['nonce-0001'] }), gone.signal)
    const stays = outcome({ nonces: ['nonce-0002'] })
    await settled()
    gone.abort(new Error('the caller left'))
    await expect(given).rejects.toThrow('the caller left')
    release()
    expect(await stays).toBe('issued')
  })

  it('are told what a wait would take, once it is known (BRK-81)', async () => {
    const { machine, source, outcome } = await atMachine()
    machine.change = async (evidence) => {
      await machine.clock.advance(2000)
      return evidence
    }
    const standing = { caller: 'uid:0', background: false }
    expect(await outcome()).toBe('issued')
    expect(source.expectedWaitMs?.(standing)).toBe(0)
    let during: number | undefined
    machine.change = async (evidence) => {
      during = source.expectedWaitMs?.(standing)
      return evidence
    }
    expect(await outcome()).toBe('issued')
    expect(during).toBe(2000)
  })
})
