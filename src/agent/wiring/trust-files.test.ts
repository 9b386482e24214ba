import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createIntermediate, createRoot, issueCrl } from '../../../test/support/test-ca.ts'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { AttestdError } from '../../base/errors.ts'
import { encodePem } from '../../base/pki/pem.ts'
import { readEkTrust } from './trust-files.ts'

const [root, other] = [createRoot(), createRoot({ subject: { CN: 'other root' } })]
const intermediate = createIntermediate(root)
const list = issueCrl({ signer: root })
const nothing = { ek_vendors: [], ek_anchors: [], ek_intermediates: [], crls: [] }
const pem = ({ der }: { der: Uint8Array }, label = 'CERTIFICATE') => encodePem(der, label)
let folder = ''

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'attestd-trust-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, content)
  return path
}

async function problemOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason) => reason,
  )
  expect(error).toBeInstanceOf(AttestdError)
  return `${error.code} ${error.message}`
}

describe('trust in endorsement keys', () => {
  it('is nothing where nothing is configured', async () => {
    expect(await readEkTrust(nothing)).toEqual({ anchors: [], intermediates: [], crls: [] })
  })

  it('comes from files in PEM and DER, each with its own part', async () => {
    const trust = await readEkTrust({
      ek_vendors: ['google'],
      ek_anchors: [await file('root.pem', pem(root.certificate)), await file('other.der', other.certificate.der)],
      ek_intermediates: [await file('intermediate.pem', pem(intermediate.certificate))],
      crls: [await file('root.crl', list.der), await file('root-crl.pem', pem(list, 'X509 CRL'))],
    })
    const { fingerprint } = root.certificate
    expect(trust.anchors.map(({ name }) => name)).toEqual(['google', fingerprint, other.certificate.fingerprint])
    expect(trust.intermediates.map(({ der }) => der)).toEqual([intermediate.certificate.der])
    expect(trust.crls.map(({ der }) => der)).toEqual([list.der, list.der])
  })

  it('takes a bundle of 100 authorities, and one block below a text dump', async () => {
    const bundle = await file('bundle.pem', pem(root.certificate).repeat(100))
    const dump = await file('dump.crt', `Certificate:\n    Data:\n${pem(other.certificate)}`)
    const { anchors } = await readEkTrust({ ...nothing, ek_anchors: [bundle, dump] })
    expect(anchors).toHaveLength(101)
    expect(anchors.at(-1)?.fingerprints).toEqual([other.certificate.fingerprint])
  })

  it('takes a revocation list of 5000 entries, in PEM as in DER', async () => {
    const revoked = Array.from({ length: 5000 }, (_, at) => ({ serial: BigInt(at + 1) }))
    const long = issueCrl({ signer: root, revoked })
    const text = pem(long, 'X509 CRL')
    expect(text.length).toBeGreaterThan(65_536)
    const { crls } = await readEkTrust({ ...nothing, crls: [await file('long.pem', text)] })
    expect(crls[0]?.revokedSerials.size).toBe(5000)
  })

  it.skipIf(!haveVectors)('calls the certificate of a known maker by its name', async () => {
    const path = await file('ekmf.pem', vector('tpm/certs/Alibaba_Cloud_vTPM_EK.pem'))
    const { anchors } = await readEkTrust({ ...nothing, ek_anchors: [path] })
    expect(anchors.map(({ name }) => name)).toEqual(['aliyun'])
  })

  it.each<[string, string | Uint8Array]>([
    ['is empty', ''],
    ['is text', 'no certificate here\n'],
    ['is cut', pem(root.certificate).slice(0, 200)],
    ['is of another kind', pem(list, 'X509 CRL')],
    ['is DER that is no certificate', list.der],
    ['has text between its blocks', `${pem(root.certificate)}text\n${pem(root.certificate)}`],
  ])('is refused with a file that %s, by its name', async (_what, content) => {
    const path = await file('bad', content)
    const problem = await problemOf(readEkTrust({ ...nothing, ek_anchors: [path] }))
    expect(problem).toContain('CONFIGURATION_INVALID')
    expect(problem).toContain(path)
  })

  it('is refused with a file that is not there, or larger than a mebibyte', async () => {
    const missing = await problemOf(readEkTrust({ ...nothing, crls: [join(folder, 'missing')] }))
    const large = await problemOf(readEkTrust({ ...nothing, crls: [await file('large', new Uint8Array(2 ** 20 + 1))] }))
    expect([missing, large].every((problem) => problem.startsWith('INPUT_UNREADABLE'))).toBe(true)
  })

  it('of a maker whose key is not known here needs the certificate', async () => {
    expect(await problemOf(readEkTrust({ ...nothing, ek_vendors: ['aliyun-root'] }))).toContain(
      'trust_anchor_incomplete',
    )
  })
})
