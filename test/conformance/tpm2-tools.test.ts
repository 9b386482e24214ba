import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { type AkScheme, akTemplates } from '../../src/attester/tpm/attestation-key.ts'
import { concatBytes, toHex } from '../../src/base/bytes.ts'
import { parse, sizedBytes, struct, u16be, u32be } from '../../src/base/layout.ts'
import { haveSwtpm, useSwtpm } from '../support/swtpm.ts'
import { SwtpmConnection } from '../support/swtpm-connection.ts'
import { createIntermediate, createRoot } from '../support/test-ca.ts'
import { attestingMachine } from '../support/tpm-attesting.ts'

/** The attester against tpm2-tools: they accept its quotes and keys, and it opens and finds what they make. */

const haveTools = spawnSync('tpm2_checkquote', ['--version']).status === 0
const draw = (size: number) => new Uint8Array(randomBytes(size))
const toolCredential = struct({
  magic: u32be,
  version: u32be,
  idObject: sizedBytes(u16be, { max: 132 }),
  encryptedSecret: sizedBytes(u16be, { max: 512 }),
})

describe.skipIf(!haveSwtpm || !haveTools)('tpm2-tools', () => {
  const { tpm } = useSwtpm('tools')
  const folder = mkdtempSync(join(tmpdir(), 'attestd-tools-'))
  let connection = new SwtpmConnection(tpm)
  afterEach(async () => {
    await connection[Symbol.asyncDispose]()
    connection = new SwtpmConnection(tpm)
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const file = (name: string, bytes: Uint8Array) => {
    const path = join(folder, name)
    writeFileSync(path, bytes)
    return path
  }
  /** Runs a tool that talks to the TPM; swtpm serves one client at a time, so ours is closed before. */
  const tool = async (name: string, ...parameters: string[]) => {
    await connection[Symbol.asyncDispose]()
    execFileSync(name, parameters, { env: { ...process.env, TPM2TOOLS_TCTI: tpm().tcti }, stdio: 'pipe' })
  }

  /** Without RSAPSS, whose padding tpm2_checkquote 5.4 does not know. */
  const schemes: readonly AkScheme[] = ['ecdsa-p256', 'ecdsa-p384', 'rsassa-2048']

  describe.each(schemes)('with an attestation key of the kind %s', (scheme) => {
    const qualifyingData = draw(32)
    const checkQuote = async (change: (signature: Uint8Array) => Uint8Array, nonce = qualifyingData) => {
      const { attester } = attestingMachine(connection, { scheme })
      await attester.identity()
      const evidence = await attester.collect(qualifyingData)
      const [quote] = evidence.quotes
      if (!quote) throw new Error('no quote')
      const files = [
        ...['-u', file('ak.pub', evidence.ak.publicArea)],
        ...['-m', file('quote.attest', quote.attest)],
        ...['-s', file('quote.signature', change(quote.signature))],
      ]
      return spawnSync('tpm2_checkquote', [...files, '-q', toHex(nonce), '-g', akTemplates[scheme].scheme.hash]).status
    }

    it('they accept the quote', async () => {
      expect(await checkQuote((signature) => signature)).toBe(0)
    })

    it('and refuse it with one bit changed, or with another nonce', async () => {
      expect(await checkQuote((signature) => signature.map((byte, at) => (at === 20 ? byte ^ 1 : byte)))).not.toBe(0)
      expect(await checkQuote((signature) => signature, draw(32))).not.toBe(0)
    })
  })

  it('make a credential that the attester opens', async () => {
    const { attester } = attestingMachine(connection)
    const { ek, ak } = await attester.identity()
    const secret = draw(32)
    const made = join(folder, 'credential')
    const parameters = ['-T', 'none', '-u', file('ek.pub', ek.publicArea), '-n', toHex(ak.name)]
    execFileSync('tpm2_makecredential', [...parameters, '-s', file('secret', secret), '-o', made], { stdio: 'pipe' })
    const { idObject, encryptedSecret } = parse(toolCredential, new Uint8Array(readFileSync(made)), 'credential')
    expect(await attester.activate(idObject, encryptedSecret)).toEqual(secret)
  })

  describe('put certificates into NV', () => {
    const root = createRoot()
    const first = createIntermediate(root, { subject: { CN: 'first' } })
    const second = createIntermediate(first, { subject: { CN: 'second' } })
    const chain = concatBytes(second.certificate.der, first.certificate.der, root.certificate.der)

    const store = async (index: number, bytes: Uint8Array, size = bytes.length) => {
      const handle = `0x0${index.toString(16)}`
      await tool('tpm2_nvdefine', handle, '-C', 'o', '-s', String(size), '-a', 'ownerwrite|ownerread|authread')
      await tool('tpm2_nvwrite', handle, '-C', 'o', '-i', file('nv', bytes))
    }
    const remove = (index: number) => tool('tpm2_nvundefine', `0x0${index.toString(16)}`, '-C', 'o')

    it('of the chain, cut anywhere into two indices and padded: intermediates are found, the root is left out', async () => {
      await store(0x01c00100, chain.subarray(0, 700))
      await store(0x01c00101, concatBytes(chain.subarray(700), new Uint8Array(100)))
      const { ek } = await attestingMachine(connection).attester.identity()
      expect(ek.chain).toEqual([second.certificate.der, first.certificate.der])
      await remove(0x01c00100)
      await remove(0x01c00101)
    })

    it('of the endorsement key, with something else in its place', async () => {
      const index = 0x01800001
      await store(index, draw(40))
      const { attester } = attestingMachine(connection, { ek: { handle: 0x81010001, certificateIndex: index } })
      await expect(attester.identity()).rejects.toMatchObject({ code: 'EK_CERTIFICATE_MALFORMED' })
      await remove(index)
    })
  })

  /** Last: persistent keys are gone after it. */
  it('clear the TPM: the endorsement key stays, the attestation key is lost and not replaced silently', async () => {
    const { attester, store } = attestingMachine(connection)
    const before = await attester.identity()
    const { kept } = store
    await tool('tpm2_clear', '-c', 'p')
    await expect(attester.collect(draw(32))).rejects.toMatchObject({ code: 'AK_LOST', facts: { rc: '0x1df' } })
    await expect(attester.identity()).rejects.toMatchObject({ code: 'AK_LOST' })
    expect(store.kept).toBe(kept)
    const renewed = await attester.identity({ renewKey: true })
    expect(renewed.ek.name).toEqual(before.ek.name)
    expect(renewed.ak.name).not.toEqual(before.ak.name)
    expect((await attester.collect(draw(32))).quotes).toHaveLength(1)
  })
})
