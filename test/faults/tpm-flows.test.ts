import { randomBytes } from 'node:crypto'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { TpmAttester } from '../../src/attester/tpm/tpm-attester.ts'
import { declareErrors } from '../../src/base/errors.ts'
import { encodeRefusal } from '../../src/evidence/tpm/command-codec.ts'
import { parseSizedPublic } from '../../src/evidence/tpm/public-area.ts'
import { makeCredential, type ProtectedCredential } from '../../src/verifier/tpm/make-credential.ts'
import { haveSwtpm, useSwtpm } from '../support/swtpm.ts'
import { type Interference, SwtpmConnection } from '../support/swtpm-connection.ts'
import { attestingMachine, loadedHandles, MemoryKeyStore } from '../support/tpm-attesting.ts'

/**
 * Each flow of the attester, cut off at each of its commands in every way a command can fail: afterwards the TPM
 * holds nothing of ours, and the same flow works (NAT-207).
 */

const draw = (size: number) => new Uint8Array(randomBytes(size))
const transport = declareErrors({ TPM_IO: { kind: 'unavailable', title: 'test', remedy: 'test' } })
const lost = () => transport.error('TPM_IO', 'lost on the way')

/** What happens to the command at hand; `stop` is the caller's signal. */
type Fault = (...parameters: [...command: Parameters<Interference>, stop: AbortController]) => Promise<Uint8Array>

const faults: Readonly<Record<string, Fault>> = {
  'the command is lost': async () => {
    throw lost()
  },
  'the answer is lost': async (command, send) => {
    await send(command)
    throw lost()
  },
  'the TPM refuses': async () => encodeRefusal(0x1c4),
  'the TPM has no slots': async () => encodeRefusal(0x902),
  'the TPM is in failure mode': async () => encodeRefusal(0x101),
  'the answer is cut': async (command, send) => (await send(command)).subarray(0, -1),
  'the caller stops': async (command, send, stop) => {
    stop.abort(new Error('enough'))
    return send(command)
  },
}

interface Prepared {
  readonly attester: TpmAttester
  readonly challenge: ProtectedCredential
}

interface Flow {
  /** After a restart of the agent, or after a first quote. */
  readonly after: 'restart' | 'collect'
  readonly run: (machine: Prepared, signal?: AbortSignal) => Promise<unknown>
}

const flows: Readonly<Record<string, Flow>> = {
  'identity with a new key': {
    after: 'restart',
    run: ({ attester }, signal) => attester.identity({ renewKey: true }, signal),
  },
  'collect the long way': { after: 'restart', run: ({ attester }, signal) => attester.collect(draw(32), {}, signal) },
  'collect the short way': { after: 'collect', run: ({ attester }, signal) => attester.collect(draw(32), {}, signal) },
  activate: {
    after: 'restart',
    run: ({ attester, challenge }, signal) => attester.activate(challenge.idObject, challenge.encryptedSecret, signal),
  },
}

describe.skipIf(!haveSwtpm)('a flow that is cut off (NAT-207)', () => {
  const { tpm } = useSwtpm('cut-off')
  let connection = new SwtpmConnection(tpm)
  afterEach(async () => {
    await connection[Symbol.asyncDispose]()
    connection = new SwtpmConnection(tpm)
  })

  /** Quick to make again, has a certificate, and a policy of two steps. */
  const ek = { template: 'p-384-high' } as const
  let kept: Uint8Array | null = null
  let challenge: ProtectedCredential
  beforeAll(async () => {
    const { attester, store } = attestingMachine(connection, { ek })
    const identity = await attester.identity()
    kept = store.kept
    challenge = makeCredential(parseSizedPublic(identity.ek.publicArea), identity.ak.name, draw(32), draw)
  })

  /** A machine whose flows of before are done. */
  async function prepared({ after }: Flow): Promise<Prepared> {
    const store = new MemoryKeyStore()
    store.kept = kept
    const { attester } = attestingMachine(connection, { ek, store })
    if (after === 'collect') await attester.collect(draw(32))
    return { attester, challenge }
  }

  async function commandsOf(flow: Flow): Promise<number> {
    const machine = await prepared(flow)
    connection.codes.length = 0
    await flow.run(machine)
    return connection.codes.length
  }

  const rows = Object.entries(flows).flatMap(([name, flow]) =>
    Object.entries(faults).map(([happening, fault]) => ({ name, flow, happening, fault })),
  )

  it.each(rows)('$name, $happening', async ({ flow, fault }) => {
    const commands = await commandsOf(flow)
    expect(commands).toBeGreaterThan(6)
    for (let at = 0; at < commands; at++) {
      const machine = await prepared(flow)
      const stop = new AbortController()
      let seen = 0
      connection.interfere = (command, send) => (seen++ === at ? fault(command, send, stop) : send(command))
      const ended = await flow.run(machine, stop.signal).catch((error: unknown) => error)
      if (ended instanceof Error) expect(ended, `command ${at}`).toMatchObject(expectation(ended))
      connection.interfere = (command, send) => send(command)
      // Who stops has an answer before the flow has cleaned up; the next flow waits for that.
      if (!stop.signal.aborted) expect(await loadedHandles(connection.send), `command ${at}`).toEqual([])
      await flow.run(machine)
      expect(await loadedHandles(connection.send), `command ${at}`).toEqual([])
    }
  })

  function expectation(error: Error): object {
    if (error.message === 'enough') return {}
    return { name: 'AttestdError', code: expect.stringMatching(/^(?:TPM|AK|EK)_/) }
  }
})
