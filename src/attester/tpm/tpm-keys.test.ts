import { randomBytes } from 'node:crypto'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { haveSwtpm, useSwtpm } from '../../../test/support/swtpm.ts'
import { SwtpmConnection } from '../../../test/support/swtpm-connection.ts'
import { attestingMachine, loadedHandles, MemoryKeyStore } from '../../../test/support/tpm-attesting.ts'
import {
  encodeRefusal,
  encodeResponse,
  parseHeader,
  parseResponse,
  type TpmCommand,
} from '../../evidence/tpm/command-codec.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import { attributesOf, nameOf, type TpmtPublic } from '../../evidence/tpm/public-area.ts'
import type { EkChoice } from './endorsement-key.ts'

const draw = (size: number) => new Uint8Array(randomBytes(size))
const flip = (bytes: Uint8Array) => bytes.map((byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte))

/** Which command is answered with something else than the TPM's response, and with what. */
interface Lie {
  readonly code: number
  readonly answer: (response: Uint8Array) => Uint8Array
}

function lie<Response extends object>(
  command: TpmCommand<never, Response> | TpmCommand<unknown, Response>,
  change: (response: Response) => Partial<Response>,
): Lie {
  const known = command as TpmCommand<unknown, Response>
  return {
    code: command.code,
    answer: (bytes) => {
      const answer = parseResponse(known, bytes)
      if (answer.outcome === 'refused') return bytes
      return encodeResponse(known, { ...answer.response, ...change(answer.response) })
    },
  }
}

/** The public area changed, and a Name that fits it. */
const otherArea = (change: (area: TpmtPublic) => Partial<TpmtPublic>) => (response: { publicArea: TpmtPublic }) => {
  const publicArea = { ...response.publicArea, ...change(response.publicArea) } as TpmtPublic
  return { publicArea, name: nameOf(publicArea) }
}

const unrestricted = attributesOf('fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth', 'noDA', 'sign')
const rsa: EkChoice = { template: 'rsa-2048' }
const persistent: EkChoice = { handle: 0x81010001, certificateIndex: null }

describe.skipIf(!haveSwtpm)('keys of a TPM that lies (NAT-54)', () => {
  const { tpm } = useSwtpm('liar')
  const connection = new SwtpmConnection(tpm)
  const store = new MemoryKeyStore()
  beforeAll(async () => {
    await attestingMachine(connection, { store }).attester.identity()
  })
  afterEach(async () => {
    connection.interfere = (command, send) => send(command)
    expect(await loadedHandles(connection.send)).toEqual([])
    await connection[Symbol.asyncDispose]()
  })
  const refuse = (code: number, rc: number) => {
    connection.interfere = async (command, send) =>
      parseHeader(command).code === code ? encodeRefusal(rc) : send(command)
  }
  const tellLie = ({ code, answer }: Lie) => {
    connection.interfere = async (command, send) =>
      parseHeader(command).code === code ? answer(await send(command)) : send(command)
  }

  it.each<[string, EkChoice, Lie, string]>([
    [
      'an endorsement key with other attributes',
      rsa,
      lie(
        tpm2.createPrimary,
        otherArea(({ attributes }) => ({ attributes: attributes + attributesOf('sign') })),
      ),
      'TPM_INCONSISTENT',
    ],
    [
      'an endorsement key with another policy',
      rsa,
      lie(
        tpm2.createPrimary,
        otherArea(({ authPolicy }) => ({ authPolicy: flip(authPolicy) })),
      ),
      'TPM_INCONSISTENT',
    ],
    [
      'an endorsement key of another size',
      rsa,
      lie(
        tpm2.createPrimary,
        otherArea(() => ({ keyBits: 1024 })),
      ),
      'TPM_INCONSISTENT',
    ],
    ['another name', rsa, lie(tpm2.createPrimary, ({ name }) => ({ name: flip(name) })), 'TPM_INCONSISTENT'],
    [
      'another key than the certified one',
      rsa,
      lie(
        tpm2.createPrimary,
        otherArea((area) => (area.type === 'rsa' ? { modulus: flip(area.modulus) } : {})),
      ),
      'EK_MISMATCH',
    ],
    [
      'no usable key at all',
      rsa,
      lie(
        tpm2.createPrimary,
        otherArea(() => ({ modulus: new Uint8Array() })),
      ),
      'TPM_RESPONSE_MALFORMED',
    ],
    [
      'another name of the persistent key',
      persistent,
      lie(tpm2.readPublic, ({ name }) => ({ name: flip(name) })),
      'TPM_INCONSISTENT',
    ],
    [
      'a persistent key under another hierarchy',
      persistent,
      lie(tpm2.readPublic, ({ qualifiedName }) => ({ qualifiedName: flip(qualifiedName) })),
      'EK_UNUSABLE',
    ],
    [
      'another policy digest',
      rsa,
      lie(tpm2.policyGetDigest, ({ digest }) => ({ digest: flip(digest) })),
      'TPM_INCONSISTENT',
    ],
    ['another name of the loaded key', rsa, lie(tpm2.load, ({ name }) => ({ name: flip(name) })), 'TPM_INCONSISTENT'],
  ])('%s', async (_, ek, told, code) => {
    tellLie(told)
    const { attester } = attestingMachine(connection, { ek, store })
    await expect(attester.collect(draw(32))).rejects.toMatchObject({ code })
  })

  it.each<[string, (area: TpmtPublic) => Partial<TpmtPublic>]>([
    ['that signs anything', () => ({ attributes: unrestricted })],
    ['with another scheme', () => ({ scheme: { algorithm: 'ecdsa', hash: 'sha1' } })],
    ['on another curve', () => ({ curve: 'P-384' })],
    ['with another name algorithm', () => ({ nameAlg: 'sha1' })],
  ])('a new attestation key %s is not kept', async (_, change) => {
    tellLie(
      lie(tpm2.create, ({ publicArea }) => ({ publicArea: { ...publicArea, ...change(publicArea) } as TpmtPublic })),
    )
    const { attester, store: empty } = attestingMachine(connection)
    await expect(attester.identity()).rejects.toMatchObject({ code: 'TPM_INCONSISTENT' })
    expect(empty.kept).toBeNull()
  })

  it('a persistent key with a policy that we cannot satisfy is not usable', async () => {
    tellLie(
      lie(tpm2.readPublic, (response) => {
        const publicArea = { ...response.publicArea, authPolicy: new Uint8Array(32) }
        const name = nameOf(publicArea)
        return { publicArea, name, qualifiedName: response.qualifiedName }
      }),
    )
    const { attester } = attestingMachine(connection, { ek: persistent, store })
    await expect(attester.collect(draw(32))).rejects.toMatchObject({ code: 'EK_UNUSABLE' })
  })

  it('a saved context that the TPM does not take back leads to the long way, in the same flow', async () => {
    const { attester } = attestingMachine(connection, { store })
    await attester.collect(draw(32))
    for (const rc of [0x1df, 0x18b, 0x910, 0x901]) {
      refuse(tpm2.contextLoad.code, rc)
      expect((await attester.collect(draw(32))).quotes).toHaveLength(1)
    }
  })

  it('a TPM that saves no contexts is used the long way every time', async () => {
    refuse(tpm2.contextSave.code, 0x143)
    const { attester } = attestingMachine(connection, { store })
    await attester.collect(draw(32))
    connection.codes.length = 0
    await attester.collect(draw(32))
    expect(connection.codes).toContain(tpm2.createPrimary.code)
    expect(connection.codes).not.toContain(tpm2.contextLoad.code)
    expect(connection.codes).not.toContain(tpm2.nvRead.code)
  })
})
