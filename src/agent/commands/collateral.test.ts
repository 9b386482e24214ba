import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CollateralIssuer } from '../../../mocks/tdx/collateral.ts'
import { createPki } from '../../../mocks/tdx/pki.ts'
import { createSimulator } from '../../../mocks/tdx/simulator.ts'
import { answerTo } from '../../../test/support/collateral-rig.ts'
import { runInProcess } from '../../../test/support/recorded-io.ts'
import { haveVectors, vectorJson, vectorsFolder } from '../../../test/support/vectors.ts'
import { encodePem } from '../../base/pki/pem.ts'
import { encodeCollateral, parseCollateral } from '../../endorsements/tdx/collateral.ts'
import { encodeEvidenceDocument } from '../evidence-document.ts'
import { collateralCommand } from './collateral.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-collateral-'))
const now = Date.now()
const pki = createPki(now)
const anchors = join(folder, 'root.pem')
const bundle = join(folder, 'bundle.json')
const run = (...args: readonly string[]) => runInProcess(collateralCommand, ...args)
const issuer = (options = {}) => new CollateralIssuer(pki, now, options)
const file = (name: string, content: string | Uint8Array) => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://localhost')
  const tee = url.pathname.includes('/sgx/') ? 'sgx' : 'tdx'
  const { status, headers, body } = answerTo(url, issuer({ tee }))
  response.writeHead(status, headers).end(body)
})
let base = ''

beforeAll(async () => {
  writeFileSync(anchors, encodePem(pki.root.certificate, 'CERTIFICATE'))
  writeFileSync(bundle, encodeCollateral(issuer().bundle()))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/sgx/certification/v4/`
})
afterAll(() => {
  server.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('attestd collateral fetch', () => {
  const from = () => ['--pccs', base, '--insecure', '--trust-anchors', anchors]
  const platform = ['--fmspc', '51d0ac000000', '--ca', 'platform']

  it('writes a bundle that check affirms', async () => {
    const output = join(folder, 'fetched.json')
    const { error, out } = await run('fetch', ...platform, ...from(), '-o', output)
    expect(error).toBeNull()
    expect(out).toMatch(/^collateral for TDX, FMSPC 51d0ac000000, platform CA\n {2}TCB info/)
    const checked = await run('check', output, '--trust-anchors', anchors)
    expect(checked.error).toBeNull()
    expect(checked.out.match(/current, authentic/g)).toHaveLength(4)
  })

  it('takes platform and TEE from a quote', async () => {
    const quote = createSimulator({ clock: { now: () => now }, pki }).quote({ reportData: new Uint8Array(64) })
    const output = join(folder, 'by-quote.json')
    const { error, out } = await run('fetch', '--quote', file('quote.bin', quote), ...from(), '-o', output, '--json')
    expect(error).toBeNull()
    expect(JSON.parse(out)).toMatchObject({
      output,
      platform: { tee: 'tdx', fmspc: '51d0ac000000', ca: 'platform' },
      items: [{ item: 'tcb-info' }, { item: 'qe-identity' }, { item: 'pck-crl' }, { item: 'root-crl' }],
    })
    expect(parseCollateral(readFileSync(output)).pckCertificateChain).toBeNull()
  })

  it('writes to standard output, and for SGX', async () => {
    const { error, out } = await run('fetch', ...platform, '--tee', 'sgx', ...from(), '-o', '-')
    expect(error).toBeNull()
    expect(JSON.parse(parseCollateral(out).tcbInfo)).toMatchObject({ id: 'SGX' })
  })

  it('takes it from a directory of bundles', async () => {
    const directory = join(folder, 'bundles')
    mkdirSync(directory)
    writeFileSync(join(directory, 'a.json'), readFileSync(bundle))
    const { error, out } = await run(
      ...['fetch', ...platform, '--file', directory, '--trust-anchors', anchors, '-o', '-'],
    )
    expect(error).toBeNull()
    expect(out).toBe(readFileSync(bundle, 'utf8'))
  })

  it('writes nothing that the anchors did not sign: those of Intel, unless told otherwise', async () => {
    const output = join(folder, 'never.json')
    const { error, err } = await run('fetch', ...platform, '--pccs', base, '--insecure', '-o', output)
    expect(error).toMatchObject({ code: 'collateral_unauthentic', exitCode: 76 })
    expect(err).toContain('failed: http://127.0.0.1')
    expect(() => readFileSync(output)).toThrow('ENOENT')
  })

  it('says where it looked for a platform that nobody knows', async () => {
    const { error } = await run('fetch', '--fmspc', '00a067110000', '--ca', 'platform', ...from(), '-o', '-')
    expect(error).toMatchObject({ code: 'collateral_unknown_platform' })
    expect(error?.message).toMatch(/127\.0\.0\.1.*00a067110000/)
  })

  it.each([
    [['--fmspc', '51d0ac000000'], 'USAGE'],
    [['--quote', 'q', '--fmspc', '51d0ac000000'], 'USAGE'],
    [[...platform, '--vpc'], 'USAGE'],
    [[...platform, '--update', 'early', '--evaluation-number', '17'], 'USAGE'],
    [[...platform, '--json'], 'USAGE'],
    [[...platform, '--region', 'evil.example/'], 'collateral_source_invalid'],
    [[...platform, '--pccs', 'http://127.0.0.1:1'], 'collateral_source_invalid'],
    [[...platform, '--pccs', 'http://pccs.example', '--insecure'], 'collateral_source_invalid'],
    [[...platform, '--file', '/nowhere/bundle.json'], 'INPUT_UNREADABLE'],
  ])('%j ends with %s', async (args, code) => {
    const { error } = await run('fetch', ...args, '-o', '-')
    expect(error?.code).toBe(code)
  })

  it('takes platform and TEE from evidence with a quote', async () => {
    const quote = createSimulator({ clock: { now: () => now }, pki }).quote({ reportData: new Uint8Array(64) })
    const evidence = encodeEvidenceDocument(
      { tdx: { quote, ccEventLog: null, simulated: true }, tpm: null },
      new Uint8Array(64),
    )
    const output = join(folder, 'by-evidence.json')
    const { error } = await run(
      'fetch',
      '--quote',
      file('evidence.json', Buffer.from(evidence)),
      ...from(),
      '-o',
      output,
    )
    expect(error).toBeNull()
    expect(parseCollateral(readFileSync(output)).tcbInfo).toContain('"id":"TDX"')
  })

  it('a file that is no evidence is told from a quote', async () => {
    const { error } = await run('fetch', '--quote', bundle, '-o', '-')
    expect(error?.code).toBe('MALFORMED')
  })
})

describe('attestd collateral check', () => {
  const check = (path: string, ...args: string[]) => run('check', path, '--trust-anchors', anchors, ...args)
  const at = (time: number) => ['--at', String(Math.floor(time / 1000))]
  const day = 86_400_000

  it.each([
    [0, null],
    [-1, 'collateral_not_yet_valid'],
    [30, 'collateral_expired'],
  ])('%i days from now: %s', async (days, code) => {
    expect((await check(bundle, ...at(now + days * day))).error?.code ?? null).toBe(code)
  })

  it.each([
    ['tcb_info', 'tcb-info'],
    ['qe_identity', 'qe-identity'],
  ])('finds the one changed letter of %s', async (member, item) => {
    const document = JSON.parse(readFileSync(bundle, 'utf8'))
    document[member] = document[member].replace('"tcbEvaluationDataNumber":17', '"tcbEvaluationDataNumber":18')
    const { error, out } = await check(file('changed.json', JSON.stringify(document)), '--json')
    expect(error).toMatchObject({ code: 'collateral_unauthentic', exitCode: 76 })
    const items: { item: string; authentic: boolean }[] = JSON.parse(out).items
    expect(items.filter(({ authentic }) => !authentic).map((each) => each.item)).toEqual([item])
  })

  it.each(['root_ca_crl', 'pck_crl'])('finds the one changed bit of the signature of %s', async (member) => {
    const document = JSON.parse(readFileSync(bundle, 'utf8'))
    const text: string = document[member]
    document[member] = `${text.slice(0, -1)}${text.endsWith('0') ? '1' : '0'}`
    expect((await check(file('changed.json', JSON.stringify(document)))).error?.code).toBe('collateral_unauthentic')
  })

  it('is not content with items of two platforms', async () => {
    const [tdx, sgx] = [issuer().bundle(), issuer({ tee: 'sgx' }).bundle()]
    const { qeIdentity, qeIdentitySignature } = sgx
    const { error } = await check(file('mixed.json', encodeCollateral({ ...tdx, qeIdentity, qeIdentitySignature })))
    expect(error).toMatchObject({ code: 'MALFORMED' })
  })

  it('shows windows and numbers', async () => {
    const { out, error } = await run('show', bundle)
    expect(error).toBeNull()
    expect(out).toMatch(/TCB info {5}number 17 .*29 days left/)
    expect(out).toMatch(/module TDX_01\n/)
    expect(out).toMatch(/all items {4}20\d\d-.*Z to 20\d\d-.*Z\n$/)
    const shown = JSON.parse((await run('show', bundle, '--json')).out)
    expect(shown).toMatchObject({ platform: { fmspc: '51d0ac000000' }, qe_identity: { evaluation_number: 17 } })
    expect(shown.items[0]).not.toHaveProperty('authentic')
  })
})

interface ExpectedWindow {
  readonly issueDate: string
  readonly nextUpdate: string
  readonly tcbEvaluationDataNumber: number
}

/** What the manifest says of a recorded bundle. */
interface ManifestEntry {
  readonly file: string
  readonly expected: {
    readonly tcb_info: ExpectedWindow & { readonly fmspc: string; readonly levels: number }
    readonly qe_identity: ExpectedWindow
  }
}

describe.skipIf(!haveVectors)('recorded collateral', () => {
  const malformedBundle = 'collateral/intel-testpki-tdx.json'
  const entries: ManifestEntry[] = haveVectors
    ? vectorJson('tdx/MANIFEST.json').filter(
        ({ file }: { file: string }) => /^collateral\/.*\.json$/.test(file) && file !== malformedBundle,
      )
    : []

  it.each(entries)('$file: windows and numbers as the manifest has them', async (entry) => {
    const { out, error } = await run('show', join(vectorsFolder, 'tdx', entry.file), '--json')
    expect(error).toBeNull()
    const { tcb_info: info, qe_identity: identity } = entry.expected
    const shown = JSON.parse(out)
    expect(shown.platform.fmspc).toBe(info.fmspc.toLowerCase())
    expect(shown.tcb_info.levels).toHaveLength(info.levels)
    expect(shown.items.slice(0, 2)).toMatchObject([
      { issued_at: info.issueDate, expires_at: info.nextUpdate, number: String(info.tcbEvaluationDataNumber) },
      {
        issued_at: identity.issueDate,
        expires_at: identity.nextUpdate,
        number: String(identity.tcbEvaluationDataNumber),
      },
    ])
  })

  it('with an SVN that no component can have is refused (TDX-162)', async () => {
    const { error } = await run('show', join(vectorsFolder, 'tdx', malformedBundle))
    expect(error?.message).toContain('is not an integer of 0 to 255')
  })

  it('of Intel is authentic under the root that is known here, and current when it was recorded', async () => {
    const path = join(vectorsFolder, 'tdx/collateral/gotdx-tdx-50806f-2023-06.json')
    const { error, out } = await run('check', path, '--at', '2023-06-20T00:00:00Z')
    expect(error).toBeNull()
    expect(out.match(/current, authentic/g)).toHaveLength(4)
    expect((await run('check', path)).error?.code).toBe('collateral_expired')
  })
})
