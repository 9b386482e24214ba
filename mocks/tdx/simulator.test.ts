import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { parseCertificate } from '../../src/base/pki/certificate.ts'
import { describeName } from '../../src/base/pki/distinguished-name.ts'
import { parseCrl } from '../../src/base/pki/revocation-list.ts'
import { serialText } from '../../src/base/pki/serial-number.ts'
import { parseQeIdentity } from '../../src/endorsements/tdx/qe-identity.ts'
import { parseTcbInfo } from '../../src/endorsements/tdx/tcb-info.ts'
import { parseQuote, reportDataOf } from '../../src/evidence/tdx/quote.ts'
import { simulatorOrganisation } from './certificates.ts'
import { createPki, keepPki, rootFile } from './pki.ts'
import { createSimulator } from './simulator.ts'

const now = Date.UTC(2026, 5, 1)
const sim = createSimulator({ clock: { now: () => now } })
const folder = mkdtempSync(join(tmpdir(), 'attestd-tdx-pki-'))
afterAll(() => rmSync(folder, { recursive: true }))

const names = ['root', 'platformCa', 'processorCa', 'tcbSigner', 'platformPck', 'processorPck'] as const
const day = 86_400_000

describe('the simulated PKI (TDX-280)', () => {
  it.each(names)('%s is a certificate by the strict parser, and says whose it is', (name) => {
    const certificate = parseCertificate(sim.pki[name].certificate)
    expect(describeName(certificate.subject)).toBe(`CN=${sim.pki[name].commonName}, O=${simulatorOrganisation}`)
    expect(certificate.serial).toBe(sim.pki[name].serial)
    expect(certificate.subjectKeyId).toHaveLength(20)
    expect(certificate.authorityKeyId?.keyId).toHaveLength(20)
    expect(certificate.extensions.has('2.5.29.31')).toBe(true)
    expect(certificate.extensions.has('1.2.840.113741.1.13.1')).toBe(name.endsWith('Pck'))
    expect(certificate.notBefore).toBeLessThan(now)
  })

  it('gives each certificate the role that it has', () => {
    const role = (name: (typeof names)[number]) => {
      const { basicConstraints, keyUsage } = parseCertificate(sim.pki[name].certificate)
      return [
        basicConstraints?.ca,
        basicConstraints?.pathLength,
        keyUsage?.has('keyCertSign'),
        keyUsage?.has('cRLSign'),
      ]
    }
    expect(role('root')).toEqual([true, 1, true, true])
    expect(role('platformCa')).toEqual([true, 0, true, true])
    expect(role('processorCa')).toEqual([true, 0, true, true])
    for (const leaf of ['tcbSigner', 'platformPck', 'processorPck'] as const) {
      expect(role(leaf)).toEqual([false, null, false, false])
    }
  })

  it('issues chains that another library follows', () => {
    const other = (name: (typeof names)[number]) => new X509Certificate(sim.pki[name].certificate)
    const isIssuedBy = (subject: X509Certificate, issuer: X509Certificate) =>
      subject.checkIssued(issuer) && subject.verify(issuer.publicKey)
    expect(isIssuedBy(other('platformPck'), other('platformCa'))).toBe(true)
    expect(isIssuedBy(other('processorPck'), other('processorCa'))).toBe(true)
    for (const name of ['root', 'platformCa', 'processorCa', 'tcbSigner'] as const) {
      expect(isIssuedBy(other(name), other('root'))).toBe(true)
    }
    expect(isIssuedBy(other('platformPck'), other('processorCa'))).toBe(false)
  })

  it('keeps keys in files that only their owner reads, and finds them again', () => {
    const directory = join(folder, 'state')
    const made = keepPki(directory, now)
    const again = keepPki(directory, now + day)
    expect(again.anchor).toEqual(made.anchor)
    for (const name of names) {
      expect(again[name].certificate).toEqual(made[name].certificate)
      expect(again[name].key.equals(made[name].key)).toBe(true)
    }
    expect(readdirSync(directory)).toEqual(['pki'])
    const kept = join(directory, 'pki')
    const modes = readdirSync(kept).map((file) => statSync(join(kept, file)).mode & 0o777)
    expect(modes).toHaveLength(12)
    expect(new Set(modes)).toEqual(new Set([0o600]))
    expect(statSync(kept).mode & 0o777).toBe(0o700)
    expect(rootFile(directory)).toBe(join(kept, 'root.crt.pem'))
    expect(() => keepPki(directory, now + 30 * 365 * day)).toThrow('not current')
  })

  it('makes new keys each time it is made in memory', () => {
    expect(createPki(now).anchor.fingerprints).not.toEqual(sim.pki.anchor.fingerprints)
  })
})

describe('simulated collateral (TDX-281)', () => {
  it('parses strictly, for both TEEs and in both versions', () => {
    const tdx = sim.collateral()
    expect(parseTcbInfo(tdx.tcbInfo)).toMatchObject({ id: 'TDX', version: 3, issueDate: now - 3_600_000 })
    expect(parseTcbInfo(tdx.tcbInfo).tdxModuleIdentities.map(({ id }) => id)).toEqual(['TDX_01', 'TDX_03'])
    expect(parseQeIdentity(tdx.qeIdentity)).toMatchObject({ id: 'TD_QE', isvProdId: 2 })
    expect(parseTcbInfo(sim.collateral({ tee: 'sgx' }).tcbInfo)).toMatchObject({ id: 'SGX', version: 3 })
    expect(parseTcbInfo(sim.collateral({ tee: 'sgx', tcbInfoVersion: 2 }).tcbInfo)).toMatchObject({ version: 2 })
    expect(parseQeIdentity(sim.collateral({ tee: 'sgx' }).qeIdentity)).toMatchObject({ id: 'QE', isvProdId: 1 })
  })

  it('lists what is revoked, with a number that grows with time', () => {
    const lists = (options: Parameters<typeof sim.collateral>[0]) => {
      const { rootCaCrl, pckCrl } = sim.collateral(options)
      return { root: parseCrl(rootCaCrl), pck: parseCrl(pckCrl) }
    }
    const none = lists({})
    expect([none.root.revokedSerials.size, none.pck.revokedSerials.size]).toEqual([0, 0])
    const all = lists({ revoked: ['pck', 'ca', 'tcb-signer'], revokedSerials: [77n] })
    const { platformCa, processorCa, tcbSigner, platformPck } = sim.pki
    expect(all.root.revokedSerials).toEqual(
      new Set([platformCa, processorCa, tcbSigner].map(({ serial }) => serialText(serial))),
    )
    expect(all.pck.revokedSerials).toEqual(new Set([serialText(platformPck.serial), '4d']))
    const older = lists({ issued: now - 10 * day })
    expect(older.pck.number).toBeLessThan(none.pck.number ?? 0n)
  })

  it('issues documents for the period that it is asked for', () => {
    const period = { issued: now + day, nextUpdate: now + 2 * day }
    const { tcbInfo, qeIdentity, pckCrl } = sim.collateral({ periods: { tcbInfo: period, pckCrl: period } })
    expect(parseTcbInfo(tcbInfo)).toMatchObject({ issueDate: period.issued, nextUpdate: period.nextUpdate })
    expect(parseCrl(pckCrl)).toMatchObject({ thisUpdate: period.issued, nextUpdate: period.nextUpdate })
    expect(parseQeIdentity(qeIdentity).issueDate).toBeLessThan(now)
  })
})

describe('simulated quotes (TDX-282)', () => {
  it.each([
    [3, 1, 'sgx'],
    [4, 1, 'sgx'],
    [4, 2, 'td-1.0'],
    [5, 1, 'sgx'],
    [5, 2, 'td-1.0'],
    [5, 3, 'td-1.5'],
    [5, 4, 'td-1.5-extended'],
  ] as const)('of version %i, body type %i, parse', (version, bodyType, kind) => {
    const quote = parseQuote(sim.quote({ version, bodyType, reportData: Uint8Array.of(1, 2, 3) }))
    expect(quote.body.kind).toBe(kind)
    expect(quote.header.version).toBe(version)
    expect([...reportDataOf(quote).subarray(0, 4)]).toEqual([1, 2, 3, 0])
    expect(quote.certification.type).toBe(5)
  })

  it('have an attestation key of their own each', () => {
    const keyOf = () => parseQuote(sim.quote({ reportData: new Uint8Array(64) })).attestationKey
    expect(keyOf()).not.toEqual(keyOf())
  })

  it('take at most 64 bytes of report data', () => {
    expect(() => sim.quote({ reportData: new Uint8Array(65) })).toThrow(TypeError)
  })
})
