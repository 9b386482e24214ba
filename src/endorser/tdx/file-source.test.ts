import { describe, expect, it } from 'vitest'
import { CollateralIssuer, type CollateralOptions } from '../../../mocks/tdx/collateral.ts'
import { authenticate, bytesOf, rigNow, rigPki } from '../../../test/support/collateral-rig.ts'
import { toHex } from '../../base/bytes.ts'
import { type Collateral, encodeCollateral } from '../../endorsements/tdx/collateral.ts'
import { factsOfItem } from './collateral-item.ts'
import { createFileSource } from './file-source.ts'
import type { ItemKey } from './item-key.ts'
import type { CollateralFiles } from './ports.ts'

const day = 86_400_000
const unending = () => new AbortController().signal
const issuer = (options: CollateralOptions = {}) => new CollateralIssuer(rigPki, rigNow, options)
const fmspc = rigPki.platform.fmspc
const tcb = { kind: 'tcb-info', tee: 'tdx', fmspc, update: 'standard' } as const
const keys: readonly ItemKey[] = [
  tcb,
  { kind: 'qe-identity', tee: 'tdx', update: 'standard' },
  { kind: 'pck-crl', ca: 'platform' },
  { kind: 'root-crl' },
]

/** Files by path; a directory is what paths begin with. */
function disk(files: Readonly<Record<string, string | Uint8Array>>): CollateralFiles {
  return {
    read: async (path) => {
      const file = files[path]
      if (file === undefined) throw new Error('ENOENT')
      return typeof file === 'string' ? bytesOf(file) : file
    },
    list: async (path) => {
      const inside = Object.keys(files).filter((each) => each.startsWith(`${path}/`))
      return inside.length > 0 ? inside.sort() : null
    },
  }
}

const source = (files: Readonly<Record<string, string | Uint8Array>>, path = '/b') =>
  createFileSource(path, disk(files))
const bundle = (options?: CollateralOptions, change: Partial<Collateral> = {}) =>
  encodeCollateral({ ...issuer(options).bundle(), ...change })

describe('a bundle (TDX-220 a)', () => {
  it.each(keys)('gives %j', async (key) => {
    const items = await source({ '/b': bundle() }).obtain(key, unending())
    expect(items).toHaveLength(1)
    for (const item of items) {
      expect(authenticate(item, { now: rigNow })).toBeNull()
      expect(factsOfItem(item, key).issueDate).toBe(rigNow - 3_600_000)
    }
  })

  it.each([
    { ...tcb, fmspc: '00a067110000' },
    { ...tcb, tee: 'sgx' },
    { ...tcb, update: { evaluationNumber: 16 } },
    { kind: 'qe-identity', tee: 'sgx', update: 'standard' },
    { kind: 'pck-crl', ca: 'processor' },
  ] as const)('has no %j', async (key) => {
    await expect(source({ '/b': bundle() }).obtain(key, unending())).rejects.toMatchObject({
      code: 'collateral_unknown_platform',
    })
  })

  it('without an issuer of its PCK CRL takes that of the PCK certificate', async () => {
    const leaf = '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n'
    const pckCertificateChain = `${leaf}${issuer().pckCrlChain()}`
    const text = bundle({}, { pckCrlIssuerChain: null, pckCertificateChain })
    const [item] = await source({ '/b': text }).obtain({ kind: 'pck-crl', ca: 'platform' }, unending())
    expect(item?.issuerChain).toBe(issuer().pckCrlChain())
    const without = bundle({}, { pckCrlIssuerChain: null })
    await expect(source({ '/b': without }).obtain({ kind: 'pck-crl', ca: 'platform' }, unending())).rejects.toThrow(
      'has no pck-crl-platform',
    )
  })

  it.each(['', '{}', '[]', '{"tcb_info":1}', 'PCCS_URL=x'])('%j is no bundle', async (text) => {
    await expect(source({ '/b': text }).obtain(tcb, unending())).rejects.toMatchObject({
      code: 'collateral_file_invalid',
      message: expect.stringContaining('/b: '),
    })
  })
})

describe('a directory of bundles (TDX-220 b)', () => {
  it('gives the newest first, and only files that are called JSON', async () => {
    const files = {
      '/b/1.json': bundle({ issued: rigNow - 3 * day }),
      '/b/2.json': bundle({ issued: rigNow - day }),
      '/b/3.json': bundle({ issued: rigNow - 2 * day }),
      '/b/README': 'not a bundle',
    }
    const items = await source(files).obtain(tcb, unending())
    expect(items.map((item) => factsOfItem(item, tcb).issueDate)).toEqual([1, 2, 3].map((days) => rigNow - days * day))
  })

  it('is not spoilt by a damaged file, unless that may be the reason', async () => {
    const files = { '/b/1.json': '{', '/b/2.json': bundle() }
    await expect(source(files).obtain(tcb, unending())).resolves.toHaveLength(1)
    const other = { ...tcb, fmspc: '00a067110000' }
    await expect(source(files).obtain(other, unending())).rejects.toMatchObject({ code: 'collateral_file_invalid' })
  })

  it('has at most 64 files', async () => {
    const of = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, at) => [`/b/${at}.json`, at === 0 ? bundle() : '{']))
    await expect(source(of(64)).obtain(tcb, unending())).resolves.toHaveLength(1)
    await expect(source(of(65)).obtain(tcb, unending())).rejects.toThrow('more than 64 files')
  })
})

/** What the client tool writes, with the early set one number ahead. */
function toolFile(encodeChain: (text: string) => string = (text) => text) {
  const documents = (tee: 'tdx' | 'sgx', update: 'standard' | 'early') => {
    const { tcbInfo, tcbInfoSignature, qeIdentity, qeIdentitySignature } = issuer({ tee, update }).bundle()
    return {
      info: { tcbInfo: JSON.parse(tcbInfo), signature: tcbInfoSignature },
      identity: { enclaveIdentity: JSON.parse(qeIdentity), signature: qeIdentitySignature },
    }
  }
  const [tdx, sgx] = [documents('tdx', 'standard'), documents('sgx', 'standard')]
  const [tdxEarly, sgxEarly] = [documents('tdx', 'early'), documents('sgx', 'early')]
  const chain = encodeChain(issuer().signerChain())
  return {
    platforms: [],
    collaterals: {
      version: 3,
      tcbinfos: [
        { fmspc: '00a067110000', tdx_tcbinfo: sgx.info },
        {
          fmspc: fmspc.toUpperCase(),
          sgx_tcbinfo: sgx.info,
          tdx_tcbinfo: tdx.info,
          sgx_tcbinfo_early: sgxEarly.info,
          tdx_tcbinfo_early: tdxEarly.info,
        },
      ],
      pckcacrl: { processorCrl: toHex(issuer().pckCrl('processor')), platformCrl: toHex(issuer().pckCrl('platform')) },
      qeidentity: sgx.identity,
      tdqeidentity: tdx.identity,
      qeidentity_early: sgxEarly.identity,
      tdqeidentity_early: tdxEarly.identity,
      certificates: {
        'TCB-Info-Issuer-Chain': chain,
        'SGX-Enclave-Identity-Issuer-Chain': chain,
        'SGX-PCK-Certificate-Issuer-Chain': {
          PROCESSOR: encodeChain(issuer().pckCrlChain('processor')),
          PLATFORM: encodeChain(issuer().pckCrlChain('platform')),
        },
      },
      rootcacrl: toHex(issuer().rootCrl()).toUpperCase(),
      rootcacrl_cdp: 'https://simulator.invalid/',
    },
  }
}

const every: readonly ItemKey[] = [
  ...(['tdx', 'sgx'] as const).flatMap((tee) =>
    (['standard', 'early'] as const).flatMap((update) => [
      { kind: 'tcb-info', tee, fmspc, update } as const,
      { kind: 'qe-identity', tee, update } as const,
    ]),
  ),
  { kind: 'pck-crl', ca: 'platform' },
  { kind: 'pck-crl', ca: 'processor' },
  { kind: 'root-crl' },
]

describe('platform_collaterals.json (TDX-220 c)', () => {
  it.each(every)('gives %j', async (key) => {
    const items = await source({ '/b': JSON.stringify(toolFile()) }).obtain(key, unending())
    expect(items).toHaveLength(1)
    for (const item of items) expect(authenticate(item, { now: rigNow })).toBeNull()
    if (!('update' in key)) return
    expect(items.map((item) => factsOfItem(item, key).number)).toEqual([key.update === 'early' ? 18n : 17n])
  })

  it('that was indented gives a second text, and that one verifies (TDX-221)', async () => {
    const items = await source({ '/b': JSON.stringify(toolFile(), null, 4) }).obtain(tcb, unending())
    expect(items.map((item) => authenticate(item, { now: rigNow }))).toEqual(['the signature is wrong', null])
  })

  it('may have chains as they came in headers', async () => {
    const text = JSON.stringify(toolFile(encodeURIComponent))
    const [item] = await source({ '/b': text }).obtain(tcb, unending())
    expect(item?.issuerChain).toBe(issuer().signerChain())
  })

  it.each([
    ['no chain', (file: ReturnType<typeof toolFile>) => ({ ...file.collaterals, certificates: {} })],
    ['a list that is no text', (file: ReturnType<typeof toolFile>) => ({ ...file.collaterals, rootcacrl: 1 })],
    [
      'a list that is not hexadecimal',
      (file: ReturnType<typeof toolFile>) => ({ ...file.collaterals, rootcacrl: '0x' }),
    ],
  ])('%s: the file is named', async (_, change) => {
    const text = JSON.stringify({ collaterals: change(toolFile()) })
    const failures = await Promise.all(
      [tcb, { kind: 'root-crl' } as const].map((key) =>
        source({ '/b': text })
          .obtain(key, unending())
          .then(
            () => null,
            (error) => error.code,
          ),
      ),
    )
    expect(failures).toContain('collateral_file_invalid')
  })

  it.each([null, ''])('%j stands for nothing', async (nothing) => {
    const { collaterals } = toolFile()
    const text = JSON.stringify({ collaterals: { ...collaterals, rootcacrl: nothing, tdqeidentity: nothing } })
    for (const key of [keys[1], keys[3]] as const) {
      if (!key) throw new Error('no key')
      await expect(source({ '/b': text }).obtain(key, unending())).rejects.toThrow(/has no/)
    }
  })

  it.each(every)('of nothing has no %j', async (key) => {
    const files = { '/b': '{"collaterals":{}}' }
    await expect(source(files).obtain(key, unending())).rejects.toMatchObject({
      code: 'collateral_unknown_platform',
      facts: { source: 'file:///b' },
    })
  })

  it.each([
    ['no certificates at all', { certificates: undefined }],
    ['certificates that are none', { certificates: null }],
    ['chains by CA that are none', { certificates: { 'SGX-PCK-Certificate-Issuer-Chain': null } }],
  ])('with %s names the file', async (_, change) => {
    const text = JSON.stringify({ collaterals: { ...toolFile().collaterals, ...change } })
    for (const key of [tcb, { kind: 'pck-crl', ca: 'platform' } as const]) {
      await expect(source({ '/b': text }).obtain(key, unending())).rejects.toMatchObject({
        code: 'collateral_file_invalid',
      })
    }
  })
})

it('a bug in reading files is no failure of a source', async () => {
  const bug = new TypeError('a bug')
  const files = { read: () => Promise.reject(bug), list: async () => null }
  await expect(createFileSource('/b', files).obtain(tcb, unending())).rejects.toBe(bug)
})
