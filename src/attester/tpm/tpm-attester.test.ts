import { constants, type KeyObject, randomBytes, verify, X509Certificate } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { execute } from '../../../mocks/swtpm/execute.ts'
import { haveSwtpm, useSwtpm } from '../../../test/support/swtpm.ts'
import { SwtpmConnection } from '../../../test/support/swtpm-connection.ts'
import { attestingMachine, loadedHandles, MemoryKeyStore } from '../../../test/support/tpm-attesting.ts'
import { concatBytes } from '../../base/bytes.ts'
import { digestOf } from '../../evidence/tpm/algorithms.ts'
import { parseTpmAttest } from '../../evidence/tpm/attest.ts'
import { encodeResponse } from '../../evidence/tpm/command-codec.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import { curves, parseSizedPublic, publicKeyOf } from '../../evidence/tpm/public-area.ts'
import { parseTpmSignature } from '../../evidence/tpm/signature.ts'
import { makeCredential } from '../../verifier/tpm/make-credential.ts'
import { type AkScheme, akTemplates } from './attestation-key.ts'
import type { EkChoice } from './endorsement-key.ts'
import type { TpmAttesterOptions } from './tpm-attester.ts'

const draw = (size: number) => new Uint8Array(randomBytes(size))

/** Verifies the one quote of `evidence` as a verifier would, with OpenSSL. */
function verifiesQuote(evidence: TpmEvidence): boolean {
  const [quote] = evidence.quotes
  if (!quote) throw new Error('no quote')
  const area = parseSizedPublic(evidence.ak.publicArea)
  const signature = parseTpmSignature(quote.signature)
  const key: KeyObject = publicKeyOf(area)
  if ('signature' in signature) {
    const isPss = signature.algorithm === 'rsapss'
    const padding = isPss ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING
    const scheme = isPss ? { key, padding, saltLength: constants.RSA_PSS_SALTLEN_AUTO } : { key, padding }
    return verify(signature.hash, quote.attest, scheme, signature.signature)
  }
  const size = area.type === 'ecc' ? curves[area.curve].size : 0
  const padded = (part: Uint8Array) => concatBytes(new Uint8Array(size - part.length), part)
  const raw = concatBytes(padded(signature.r), padded(signature.s))
  return verify(signature.hash, quote.attest, { key, dsaEncoding: 'ieee-p1363' }, raw)
}

describe.skipIf(!haveSwtpm)('an attester with a simulated TPM', () => {
  const { tpm, restart } = useSwtpm('live-host')
  let connection = new SwtpmConnection(tpm)
  const machine = (options: Partial<TpmAttesterOptions> & { store?: MemoryKeyStore } = {}) =>
    attestingMachine(connection, options)
  afterEach(async () => {
    const left = await loadedHandles(connection.send)
    await connection[Symbol.asyncDispose]()
    connection = new SwtpmConnection(tpm)
    expect(left).toEqual([])
  })

  describe('identifies itself', () => {
    it.each<[string, EkChoice, number]>([
      ['RSA-2048', { template: 'rsa-2048' }, 0x81010001],
      ['P-384 of the high range', { template: 'p-384-high' }, 0x81010016],
    ])('%s: the key made again is that of the certificate, and the persistent one', async (_, ek, handle) => {
      const { attester } = machine({ ek })
      const identity = await attester.identity()
      const certificate = new X509Certificate(identity.ek.certificate ?? new Uint8Array())
      expect(certificate.publicKey.equals(publicKeyOf(parseSizedPublic(identity.ek.publicArea)))).toBe(true)
      expect(certificate.subject).toContain('live-host')
      const persistent = await execute(connection.send, tpm2.readPublic, { object: handle })
      expect(persistent.name).toEqual(identity.ek.name)
      expect([identity.simulated, identity.ak.isNew, identity.ek.chain]).toEqual([true, true, []])
    })

    it.each<[string, EkChoice]>([
      ['P-256', { template: 'p-256' }],
      ['P-256 of the high range', { template: 'p-256-high' }],
      ['a persistent key without a certificate', { handle: 0x81010001, certificateIndex: null }],
    ])('%s: no certificate is a normal state', async (_, ek) => {
      const { attester } = machine({ ek })
      expect((await attester.identity()).ek.certificate).toBeNull()
      expect(verifiesQuote(await attester.collect(draw(32)))).toBe(true)
    })

    it('by the persistent EK as by the template', async () => {
      const store = new MemoryKeyStore()
      const made = await machine({ store }).attester.identity()
      const persistent = machine({ store, ek: { handle: 0x81010001, certificateIndex: 0x01c00002 } })
      const again = await persistent.attester.identity()
      expect({ ...again, ak: null }).toEqual({ ...made, ak: null })
      expect(again.ak).toEqual({ ...made.ak, isNew: false })
    })

    it('not with the certificate of another key', async () => {
      const { attester } = machine({ ek: { handle: 0x81010016, certificateIndex: 0x01c00002 } })
      await expect(attester.identity()).rejects.toMatchObject({ code: 'EK_MISMATCH', facts: { nv_index: '1c00002' } })
    })

    it('not with a persistent key that is absent, or no endorsement key', async () => {
      const absent = machine({ ek: { handle: 0x81010777, certificateIndex: null } })
      await expect(absent.attester.identity()).rejects.toMatchObject({ code: 'EK_UNUSABLE' })
      const storage = machine({ ek: { handle: 0x81000001, certificateIndex: null } })
      await expect(storage.attester.identity()).rejects.toMatchObject({ code: 'EK_UNUSABLE' })
    })

    it('with the same attestation key every time, and another one only on request', async () => {
      const { attester, store } = machine()
      const first = await attester.identity()
      const kept = store.kept
      const second = await attester.identity()
      expect([second.ak, store.kept]).toEqual([{ ...first.ak, isNew: false }, kept])
      const third = await attester.identity({ renewKey: true })
      expect(third.ak.isNew).toBe(true)
      expect(third.ak.name).not.toEqual(first.ak.name)
      expect(parseSizedPublic((await attester.collect(draw(32))).ak.publicArea)).toEqual(
        parseSizedPublic(third.ak.publicArea),
      )
    })

    it('with one new key when asked twice at once', async () => {
      const { attester } = machine()
      const [one, two] = await Promise.all([attester.identity(), attester.identity()])
      expect(one.ak.name).toEqual(two.ak.name)
      expect([one.ak.isNew, two.ak.isNew]).toEqual([true, false])
    })
  })

  describe('quotes', () => {
    it.each(Object.keys(akTemplates) as AkScheme[])(
      '%s: the signature verifies, attributes are 00050472',
      async (scheme) => {
        const { attester } = machine({ scheme })
        await attester.identity()
        const evidence = await attester.collect(draw(32))
        const area = parseSizedPublic(evidence.ak.publicArea)
        expect([area.attributes, area.scheme]).toEqual([0x00050472, akTemplates[scheme].scheme])
        expect(verifiesQuote(evidence)).toBe(true)
      },
    )

    it('what was asked: qualifying data, SHA-256 and the active SHA-384, values that lead to the digest', async () => {
      const { attester } = machine({ pcrs: Array.from({ length: 24 }, (_, pcr) => pcr) })
      await attester.identity()
      const qualifyingData = draw(32)
      const { quotes, simulated } = await attester.collect(qualifyingData)
      const attest = parseTpmAttest(quotes[0]?.attest ?? new Uint8Array())
      expect(attest.extraData).toEqual(qualifyingData)
      expect([...(quotes[0]?.pcrs.keys() ?? [])]).toEqual(['sha256', 'sha384'])
      const values = [...(quotes[0]?.pcrs.values() ?? [])].flatMap((bank) => [...bank.values()])
      expect(values).toHaveLength(48)
      expect(attest.pcrDigest).toEqual(digestOf('sha256', ...values))
      expect([quotes.length, simulated]).toEqual([1, true])
    })

    it('the banks and PCRs of one request', async () => {
      const { attester } = machine()
      await attester.identity()
      const { quotes } = await attester.collect(draw(32), { banks: ['sha1'], pcrs: [16, 3] })
      const banks = [...(quotes[0]?.pcrs ?? [])].map(([bank, values]) => [bank, [...values.keys()]])
      expect(banks).toEqual([
        ['sha1', [3, 16]],
        ['sha384', [3, 16]],
      ])
    })

    it('not a bank that is not active', async () => {
      const { attester } = machine({ banks: ['sha256', 'sha512'] })
      await attester.identity()
      await expect(attester.collect(draw(32))).rejects.toMatchObject({
        code: 'TPM_BANK_INACTIVE',
        facts: { bank: 'sha512' },
      })
    })

    it('exactly the selection that it told before, whatever its own settings say (TPM-21)', async () => {
      const { attester } = machine({ pcrs: [10, 0, 7, 7] })
      await attester.identity()
      const told = await attester.selection()
      expect(told).toEqual([
        { hash: 'sha256', pcrs: [0, 7, 10] },
        { hash: 'sha384', pcrs: [0, 7, 10] },
      ])
      const quotedBy = async (selection: typeof told) => {
        const { quotes } = await attester.collect(draw(32), { selection, banks: ['sha512'] })
        return parseTpmAttest(quotes[0]?.attest ?? new Uint8Array()).pcrSelect
      }
      expect(await quotedBy(told)).toEqual([
        { hash: 11, pcrs: [0, 7, 10] },
        { hash: 12, pcrs: [0, 7, 10] },
      ])
      expect(await quotedBy([{ hash: 'sha256', pcrs: [3, 1] }])).toEqual([{ hash: 11, pcrs: [1, 3] }])
    })

    it('and tells no selection with a bank that is not active, nor quotes one that it never told', async () => {
      const { attester } = machine({ banks: ['sha512'] })
      await attester.identity()
      await expect(attester.selection()).rejects.toMatchObject({ code: 'TPM_BANK_INACTIVE' })
      const selection = [{ hash: 'sha512' as const, pcrs: [0] }]
      await expect(attester.collect(draw(32), { selection })).rejects.toMatchObject({ code: 'TPM_BANK_INACTIVE' })
    })

    it.each([7, 65])('not over %i bytes of qualifying data', async (size) => {
      const { attester } = machine()
      await expect(attester.collect(draw(size))).rejects.toThrow(TypeError)
    })

    it('and reads again when a PCR is extended meanwhile', async () => {
      const { attester } = machine()
      await attester.identity()
      let extensions = 0
      connection.interfere = async (command, send) => {
        if (command[9] === 0x58 && extensions++ < 3) {
          await execute(send, tpm2.pcrExtend, { pcr: 10, digests: [{ hash: 'sha256', digest: draw(32) }] })
        }
        return send(command)
      }
      expect(verifiesQuote(await attester.collect(draw(32)))).toBe(true)
      expect(extensions).toBe(4)
    })

    it('by the short way after the first time: no endorsement key is made again', async () => {
      const { attester } = machine()
      await attester.identity()
      connection.codes.length = 0
      await attester.collect(draw(32))
      expect(connection.codes).not.toContain(tpm2.createPrimary.code)
      expect(connection.codes).toContain(tpm2.contextLoad.code)
    })
  })

  describe('adds the logs', () => {
    it('the IMA log is read after the quote (TPM-09), bytes alone are a whole log with SHA-1 column', async () => {
      const order: string[] = []
      const { attester } = machine({
        readEventLog: async () => {
          order.push('event log')
          return Uint8Array.of(1)
        },
        readImaLog: async (from) => {
          order.push(`IMA from ${from}`)
          return Uint8Array.of(2)
        },
      })
      await attester.identity()
      connection.interfere = (command, send) => {
        if (command[9] === 0x58) order.push('quote')
        return send(command)
      }
      const evidence = await attester.collect(draw(32))
      expect(evidence.eventLog).toEqual(Uint8Array.of(1))
      expect(evidence.ima).toEqual({ from: 0, column: 'sha1', data: Uint8Array.of(2) })
      expect(order.indexOf('IMA from 0')).toBeGreaterThan(order.indexOf('quote'))
    })

    it('the command line goes with the event log, as a hint (ELOG-20)', async () => {
      const collected = async (text: string | null, log: Uint8Array | null) => {
        const { attester } = machine({ readEventLog: async () => log, readKernelCmdline: async () => text })
        await attester.identity()
        return attester.collect(draw(32))
      }
      expect(await collected('root=/dev/vda1', Uint8Array.of(1))).toMatchObject({ kernelCmdline: 'root=/dev/vda1' })
      expect(await collected(null, Uint8Array.of(1))).not.toHaveProperty('kernelCmdline')
      expect(await collected('root=/dev/vda1', null)).not.toHaveProperty('kernelCmdline')
    })

    it('from the record that is asked for', async () => {
      const part = { from: 5, column: 'sha256' as const, data: Uint8Array.of(3) }
      const { attester } = machine({ readImaLog: async (from) => ({ ...part, from }) })
      await attester.identity()
      expect((await attester.collect(draw(32), { imaFrom: 5 })).ima).toEqual(part)
    })

    it('of the IMA log as much as is asked for, and says whether it goes on; without a quote too (IMA-24)', async () => {
      const asked: unknown[] = []
      const readImaLog = async (from: number, most?: number) => {
        asked.push([from, most])
        return { from, column: 'sha1' as const, data: Uint8Array.of(3), continues: most === 100, records: 7 }
      }
      const { attester } = machine({ readImaLog })
      await attester.identity()
      const cut = await attester.collect(draw(32), { imaFrom: 5, imaMost: 100 })
      expect([cut.imaContinues, cut.ima]).toEqual([true, { from: 5, column: 'sha1', data: Uint8Array.of(3) }])
      expect((await attester.collect(draw(32))).imaContinues).toBe(false)
      connection.codes.length = 0
      expect(await attester.readIma(12, 100)).toMatchObject({ from: 12, continues: true })
      expect(connection.codes).toEqual([])
      expect(asked).toEqual([
        [5, 100],
        [0, undefined],
        [12, 100],
      ])
      expect(await machine().attester.readIma(0, 100)).toBeNull()
    })

    it('only those that are wanted and there', async () => {
      const read = async () => Uint8Array.of(1)
      const { attester } = machine({ readEventLog: read, readImaLog: read })
      await attester.identity()
      const without = await attester.collect(draw(32), { eventLog: false, imaFrom: null })
      expect([without.eventLog, without.ima]).toEqual([null, null])
      const bare = machine()
      await bare.attester.identity()
      const none = await bare.attester.collect(draw(32))
      expect([none.eventLog, none.ima]).toEqual([null, null])
    })
  })

  describe('takes part in enrolment', () => {
    const eks: readonly EkChoice[] = [{ template: 'rsa-2048' }, { template: 'p-256' }, { template: 'p-384-high' }]

    it.each(eks)('opens a challenge of the verifier: $template', async (ek) => {
      const { attester } = machine({ ek })
      const identity = await attester.identity()
      const secret = draw(32)
      const challenge = makeCredential(parseSizedPublic(identity.ek.publicArea), identity.ak.name, secret, draw)
      expect(await attester.activate(challenge.idObject, challenge.encryptedSecret)).toEqual(secret)
    })

    it('opens a challenge that another TPM made', async () => {
      const { attester } = machine()
      const { ak } = await attester.identity()
      const secret = draw(20)
      const made = await execute(connection.send, tpm2.makeCredential, {
        key: 0x81010001,
        secret,
        objectName: ak.name,
      })
      expect(await attester.activate(made.idObject, made.encryptedSecret)).toEqual(secret)
    })

    it('refuses what was made for other keys, damaged or nonsense', async () => {
      const { attester } = machine()
      const identity = await attester.identity()
      const ek = parseSizedPublic(identity.ek.publicArea)
      const good = makeCredential(ek, identity.ak.name, draw(32), draw)
      const other = await machine({ ek: { template: 'p-256' } }).attester.identity()
      const wrong = [
        makeCredential(ek, other.ak.name, draw(32), draw),
        makeCredential(parseSizedPublic(other.ek.publicArea), identity.ak.name, draw(32), draw),
        { ...good, idObject: good.idObject.map((byte, at) => (at === 40 ? byte ^ 1 : byte)) },
        { ...good, idObject: good.idObject.map((byte, at) => (at === 2 ? byte ^ 1 : byte)) },
        { ...good, idObject: good.idObject.map((byte, at) => (at === 1 ? byte ^ 1 : byte)) },
        { ...good, encryptedSecret: good.encryptedSecret.map((byte, at) => (at === 9 ? byte ^ 1 : byte)) },
        { ...good, encryptedSecret: good.encryptedSecret.subarray(1) },
        { ...good, encryptedSecret: new Uint8Array(256).fill(255) },
        { ...good, encryptedSecret: new Uint8Array() },
        { ...good, encryptedSecret: new Uint8Array(512) },
        { ...good, encryptedSecret: new Uint8Array(513) },
        { ...good, idObject: new Uint8Array() },
        { ...good, idObject: new Uint8Array(132) },
        { ...good, idObject: new Uint8Array(133) },
      ]
      for (const [at, { idObject, encryptedSecret }] of wrong.entries()) {
        await expect(attester.activate(idObject, encryptedSecret), `challenge ${at}`).rejects.toMatchObject({
          code: 'TPM_CREDENTIAL_REFUSED',
          exitCode: 76,
        })
      }
      expect(await attester.activate(good.idObject, good.encryptedSecret)).toHaveLength(32)
    })
  })

  describe('keeps its key', () => {
    it('over a power cycle: from the kept blobs, since the saved context is void', async () => {
      const { attester } = machine()
      const { ak } = await attester.identity()
      const before = parseTpmAttest((await attester.collect(draw(32))).quotes[0]?.attest ?? new Uint8Array())
      await tpm().powerCycle(await connection.client())
      connection.codes.length = 0
      const evidence = await attester.collect(draw(32))
      const after = parseTpmAttest(evidence.quotes[0]?.attest ?? new Uint8Array())
      expect(evidence.ak.publicArea).toEqual(ak.publicArea)
      expect(verifiesQuote(evidence)).toBe(true)
      expect(after.resetCount).toBe(before.resetCount + 1)
      expect(connection.codes).toContain(tpm2.createPrimary.code)
    })

    it('over a kill of the TPM and of the agent', async () => {
      const store = new MemoryKeyStore()
      const first = machine({ store })
      const { ak } = await first.attester.identity()
      await tpm().kill()
      await restart()
      const evidence = await machine({ store }).attester.collect(draw(32))
      expect(evidence.ak.publicArea).toEqual(ak.publicArea)
      expect(verifiesQuote(evidence)).toBe(true)
    })

    it('through a TPM that lost its power between two commands of a flow', async () => {
      const { attester } = machine()
      await attester.identity()
      // Takes the power away and gives it back, but swallows the TPM2_Startup that a firmware would send.
      const swallow = async () => encodeResponse(tpm2.startup, {})
      const unstarted = { ...(await connection.client()), send: swallow }
      let cycles = 0
      connection.interfere = async (command, send) => {
        if (command[9] === 0x58 && cycles++ === 0) {
          await tpm().powerCycle(unstarted)
        }
        return send(command)
      }
      expect(verifiesQuote(await attester.collect(draw(32)))).toBe(true)
      expect(cycles).toBe(2)
    })

    it('and never makes another one by itself', async () => {
      const { attester, store } = machine()
      await expect(attester.collect(draw(32))).rejects.toMatchObject({
        code: 'AK_LOST',
        exitCode: 75,
        retryable: false,
      })
      await expect(attester.activate(draw(64), draw(256))).rejects.toMatchObject({ code: 'AK_LOST' })
      expect(store.kept).toBeNull()
    })

    it('of which every damage is AK_LOST or AK_MISMATCH', async () => {
      const { attester, store } = machine()
      await attester.identity()
      const kept = store.kept ?? new Uint8Array()
      const collectAfresh = () => machine({ store }).attester.collect(draw(32))
      const step = 7
      for (let at = 0; at < kept.length; at += step) {
        store.kept = kept.map((byte, index) => (index === at ? byte ^ 0x10 : byte))
        const error = await collectAfresh().catch((reason: unknown) => reason)
        expect(['AK_LOST', 'AK_MISMATCH'], `byte ${at}: ${error}`).toContain((error as { code?: string }).code)
      }
      for (const cut of [0, 1, 2, 100, kept.length - 1]) {
        store.kept = kept.slice(0, cut)
        await expect(collectAfresh()).rejects.toMatchObject({ code: 'AK_LOST' })
      }
      store.kept = kept
      expect(verifiesQuote(await collectAfresh())).toBe(true)
    })

    it('but not under another endorsement key, nor of another kind', async () => {
      const store = new MemoryKeyStore()
      await machine({ store }).attester.identity()
      const other = machine({ store, ek: { template: 'p-256' } })
      await expect(other.attester.identity()).rejects.toMatchObject({ code: 'AK_LOST', facts: { rc: '0x1df' } })
      const rsa = machine({ store, scheme: 'rsassa-2048' })
      await expect(rsa.attester.identity()).rejects.toMatchObject({ code: 'AK_MISMATCH', exitCode: 78 })
    })
  })

  describe('shares its TPM', () => {
    it('all session slots taken by others: TPM_NO_SLOTS after one restart, and theirs stay', async () => {
      const { attester } = machine()
      for (let slot = 0; slot < 3; slot++) await execute(connection.send, tpm2.startAuthSession, anySession)
      const taken = await loadedHandles(connection.send)
      connection.codes.length = 0
      await expect(attester.identity()).rejects.toMatchObject({
        code: 'TPM_NO_SLOTS',
        exitCode: 75,
        facts: { rc: '0x903' },
      })
      expect(connection.codes.filter((code) => code === tpm2.startAuthSession.code)).toHaveLength(2)
      expect(await loadedHandles(connection.send)).toEqual(taken)
      for (const flushed of taken) await execute(connection.send, tpm2.flushContext, { flushed })
      expect((await attester.identity()).ak.isNew).toBe(true)
    })
  })

  describe('stops when it is told to', () => {
    it('at once, while the command under way is awaited before the next flow begins', async () => {
      const { attester } = machine()
      await attester.identity()
      const stop = new AbortController()
      let release = () => {}
      const held = new Promise<void>((resolve) => {
        release = resolve
      })
      connection.interfere = async (command, send) => {
        if (command[9] === 0x58) {
          stop.abort(new Error('enough'))
          await held
        }
        return send(command)
      }
      await expect(attester.collect(draw(32), {}, stop.signal)).rejects.toThrow('enough')
      connection.interfere = (command, send) => send(command)
      const next = attester.collect(draw(32))
      release()
      expect(verifiesQuote(await next)).toBe(true)
    })

    it('before its turn: nothing is sent', async () => {
      const { attester } = machine()
      await expect(attester.identity({}, AbortSignal.abort(new Error('never')))).rejects.toThrow('never')
      expect(connection.codes).toEqual([])
    })
  })
})

const anySession = {
  tpmKey: 0x40000007,
  bind: 0x40000007,
  nonceCaller: new Uint8Array(16),
  encryptedSalt: new Uint8Array(),
  sessionType: 1,
  symmetric: 0x10,
  authHash: 'sha256' as const,
}
