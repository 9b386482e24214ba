import { describe, expect, it } from 'vitest'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { MalformedError } from '../../base/errors.ts'
import { encodeCollateral, parseCollateral } from './collateral.ts'
import { parseQeIdentity } from './qe-identity.ts'
import { parseTcbInfo } from './tcb-info.ts'

const bundle: Readonly<Record<string, string>> = {
  tcb_info_issuer_chain: 'chain 1',
  tcb_info: '{"é": 1.0}',
  tcb_info_signature: 'ab'.repeat(64),
  qe_identity_issuer_chain: 'chain 2',
  qe_identity: '{}',
  qe_identity_signature: 'CD'.repeat(64),
  root_ca_crl: '3000',
  pck_crl: 'A0FF',
}
const parse = (change: object) => parseCollateral(JSON.stringify({ ...bundle, ...change }))

describe('a bundle of collateral', () => {
  it('has texts as they are and lists as bytes', () => {
    expect(parse({})).toEqual({
      tcbInfoIssuerChain: 'chain 1',
      tcbInfo: '{"é": 1.0}',
      tcbInfoSignature: 'ab'.repeat(64),
      qeIdentityIssuerChain: 'chain 2',
      qeIdentity: '{}',
      qeIdentitySignature: 'cd'.repeat(64),
      rootCaCrl: Uint8Array.of(0x30, 0),
      pckCrl: Uint8Array.of(0xa0, 0xff),
      pckCrlIssuerChain: null,
      pckCertificateChain: null,
    })
  })

  it('may have the two other chains, or null for them', () => {
    expect(parse({ pck_crl_issuer_chain: 'c', pck_certificate_chain: null })).toMatchObject({
      pckCrlIssuerChain: 'c',
      pckCertificateChain: null,
    })
  })

  it('is encoded as it is read, as text and as bytes and as an object', () => {
    const whole = parse({ pck_crl_issuer_chain: 'c', pck_certificate_chain: 'd' })
    const text = encodeCollateral(whole)
    expect(parseCollateral(text)).toEqual(whole)
    expect(parseCollateral(new TextEncoder().encode(text))).toEqual(whole)
    expect(parseCollateral(JSON.parse(text))).toEqual(whole)
    expect(parseCollateral(encodeCollateral(parse({})))).toEqual(parse({}))
  })

  it.each(Object.keys(bundle))('needs %s', (member) => {
    expect(() => parse({ [member]: undefined })).toThrow(`collateral.${member}`)
    expect(() => parse({ [member]: null })).toThrow(MalformedError)
    expect(() => parse({ [member]: 1 })).toThrow(MalformedError)
  })

  it.each<[string, object, string]>([
    ['a signature of 126 digits', { tcb_info_signature: 'ab'.repeat(63) }, 'tcb_info_signature: is not 128'],
    ['a signature with another letter', { qe_identity_signature: 'xy'.repeat(64) }, 'qe_identity_signature: is not'],
    ['a list with half a byte', { pck_crl: '300' }, 'pck_crl: is not lower-case hexadecimal'],
    ['a list with white space', { root_ca_crl: '30 00' }, 'root_ca_crl: is not lower-case hexadecimal'],
    ['a list above 1 MiB', { pck_crl: '00'.repeat(1_048_577) }, 'pck_crl: is longer'],
    ['a chain of another type', { pck_crl_issuer_chain: 1 }, 'pck_crl_issuer_chain: is not a string'],
    ['a member that is misspelt', { pck_crl_issuer_chains: 'c' }, 'pck_crl_issuer_chains: is not known'],
  ])('is refused: %s', (_what, change, says) => {
    expect(() => parse(change)).toThrow(says)
  })

  it('is refused: a member twice, no object, text above 8 MiB', () => {
    expect(() => parseCollateral(JSON.stringify(bundle).replace('{', '{"pck_crl":"00",'))).toThrow('duplicate')
    expect(() => parseCollateral('[]')).toThrow('not a JSON object')
    expect(() => parseCollateral(' '.repeat(8 * 1_048_576 + 1))).toThrow('longer than 8 MiB')
  })
})

interface RecordedBundle {
  readonly file: string
  readonly expected: {
    readonly tcb_info: {
      readonly id: string | null
      readonly version: number
      readonly issueDate: string
      readonly nextUpdate: string
      readonly fmspc: string
      readonly pceId: string
      readonly tcbEvaluationDataNumber: number
      readonly levels: number
      readonly modules: readonly string[]
    }
    readonly qe_identity: {
      readonly id: string
      readonly version: number
      readonly issueDate: string
      readonly nextUpdate: string
      readonly tcbEvaluationDataNumber: number
    }
  }
}

describe.skipIf(!haveVectors)('recorded bundles', () => {
  const manifest = haveVectors ? (vectorJson('tdx/MANIFEST.json') as RecordedBundle[]) : []
  const bundles = manifest.filter(({ file }) => file.startsWith('collateral/') && file.endsWith('.json'))
  const shown = (time: number) => new Date(time).toISOString().replace('.000Z', 'Z')

  it('there are six', () => {
    expect(bundles).toHaveLength(6)
  })

  // Its components are numbers of 16 bits: TCB info of no real platform.
  const invalid = 'collateral/intel-testpki-tdx.json'

  it('of the test PKI for TDX is refused: components above 255', () => {
    const { tcbInfo } = parseCollateral(vector(`tdx/${invalid}`))
    expect(() => parseTcbInfo(tcbInfo)).toThrow('sgxtcbcomponents[1].svn: is not an integer of 0 to 255')
  })

  it.each(bundles.filter(({ file }) => file !== invalid))('$file has the recorded facts', ({ file, expected }) => {
    const collateral = parseCollateral(vector(`tdx/${file}`))
    const info = parseTcbInfo(collateral.tcbInfo)
    expect({
      id: info.version === 2 ? null : info.id,
      version: info.version,
      issueDate: shown(info.issueDate),
      nextUpdate: shown(info.nextUpdate),
      fmspc: info.fmspc,
      pceId: info.pceId,
      tcbEvaluationDataNumber: info.tcbEvaluationDataNumber,
      levels: info.levels.length,
      modules: info.tdxModuleIdentities.map(({ id }) => id),
    }).toEqual({ ...expected.tcb_info, fmspc: expected.tcb_info.fmspc.toLowerCase() })
    const { id, version, issueDate, nextUpdate, tcbEvaluationDataNumber } = parseQeIdentity(collateral.qeIdentity)
    expect({
      id,
      version,
      issueDate: shown(issueDate),
      nextUpdate: shown(nextUpdate),
      tcbEvaluationDataNumber,
    }).toEqual(expected.qe_identity)
    expect(parseCollateral(encodeCollateral(collateral))).toEqual(collateral)
  })
})
