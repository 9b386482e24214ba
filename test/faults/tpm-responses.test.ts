import { createHash } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { createTpmAttester } from '../../src/attester/tpm/tpm-attester.ts'
import type { Clock } from '../../src/base/clock.ts'
import { AttestdError, MalformedError } from '../../src/base/errors.ts'
import { type AnyTpmCommand, encodeRefusal, parseHeader, parseResponse } from '../../src/evidence/tpm/command-codec.ts'
import { tpm2 } from '../../src/evidence/tpm/commands.ts'
import { haveSwtpm, useSwtpm } from '../support/swtpm.ts'
import { SwtpmConnection } from '../support/swtpm-connection.ts'
import { MemoryKeyStore } from '../support/tpm-attesting.ts'

/**
 * Recorded responses of a TPM, damaged in every place: the codec and the flows give a typed error or a valid
 * value, and never hang (NAT-208). The device may be owned by the host (NAT-25).
 */

/** Waits for nothing. */
const instantClock: Clock = { now: () => 0, monotonic: () => 0, boottime: () => 0, sleep: async () => {} }
/** The same bytes every time, so that a flow repeats its commands exactly. */
const constant = (size: number) => new Uint8Array(size).fill(7)
const qualifyingData = constant(32)

interface Exchange {
  readonly command: Uint8Array
  readonly response: Uint8Array
}

type Flow = 'identity' | 'collect' | 'collect again'

function attesterOver(send: (command: Uint8Array) => Promise<Uint8Array>, store: MemoryKeyStore) {
  const connection = {
    kind: 'device' as const,
    simulated: false,
    generation: 1,
    send,
    [Symbol.asyncDispose]: async () => {},
  }
  return createTpmAttester({
    connect: async () => connection,
    keyStore: store,
    clock: instantClock,
    random: constant,
    ek: { template: 'p-384-high' },
    pcrs: [0, 7],
  })
}

const commandsByCode = new Map<number, AnyTpmCommand>(Object.values(tpm2).map((command) => [command.code, command]))

function flipped(bytes: Uint8Array, at: number, bits: number): Uint8Array {
  return bytes.map((byte, index) => (index === at ? byte ^ bits : byte))
}

/** With another size, and a header that agrees. */
function resized(bytes: Uint8Array, size: number): Uint8Array {
  const copy = new Uint8Array(size)
  copy.set(bytes.subarray(0, size))
  if (size >= 6) new DataView(copy.buffer).setUint32(2, size)
  return copy
}

describe.skipIf(!haveSwtpm)('damaged responses (NAT-208)', () => {
  const { tpm } = useSwtpm('recorded')
  const store = new MemoryKeyStore()
  const recorded: Record<Flow, Exchange[]> = { identity: [], collect: [], 'collect again': [] }

  beforeAll(async () => {
    await using connection = new SwtpmConnection(tpm)
    let flow: Flow = 'identity'
    const recording = async (command: Uint8Array) => {
      const response = await connection.send(command)
      recorded[flow].push({ command, response })
      return response
    }
    await attesterOver(recording, store).identity()
    flow = 'collect'
    const attester = attesterOver(recording, store)
    await attester.collect(qualifyingData)
    flow = 'collect again'
    await attester.collect(qualifyingData)
  })

  it('of every command: the codec gives a value or says where they are malformed', () => {
    const exchanges = Object.values(recorded).flat()
    expect(new Set(exchanges.map(({ command }) => parseHeader(command).code)).size).toBeGreaterThan(14)
    const start = performance.now()
    let cases = 0
    for (const { command, response } of exchanges) {
      const declared = commandsByCode.get(parseHeader(command).code)
      if (declared === undefined) throw new Error('a command that is not declared')
      const check = (bytes: Uint8Array) => {
        cases++
        try {
          parseResponse(declared, bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError)
        }
      }
      for (let at = 0; at < response.length; at++) {
        for (const bits of [0x01, 0x80, 0xff]) check(flipped(response, at, bits))
        check(response.subarray(0, at))
        check(resized(response, at))
      }
      for (const size of [response.length + 1, 4096]) check(resized(response, size))
    }
    expect(cases).toBeGreaterThan(20_000)
    expect((performance.now() - start) / cases).toBeLessThan(5)
  })

  /** Answers as recorded, but for one exchange; a command that was not recorded is not implemented. */
  function replaying(exchanges: readonly Exchange[], changed: Exchange | null, response: Uint8Array) {
    const turns = new Map<string, number>()
    const hashOf = (bytes: Uint8Array) => createHash('sha1').update(bytes).digest('hex')
    const byCommand = new Map<string, Uint8Array[]>()
    for (const exchange of exchanges) {
      const key = hashOf(exchange.command)
      byCommand.set(key, [...(byCommand.get(key) ?? []), exchange === changed ? response : exchange.response])
    }
    let commands = 0
    return async (command: Uint8Array) => {
      if (++commands > 500) throw new Error('the flow does not end')
      const key = hashOf(command)
      const turn = turns.get(key) ?? 0
      turns.set(key, turn + 1)
      const answers = byCommand.get(key) ?? []
      return answers[Math.min(turn, answers.length - 1)] ?? encodeRefusal(0x143)
    }
  }

  async function outcome(flow: Flow, changed: Exchange | null, response: Uint8Array): Promise<string> {
    const kept = new MemoryKeyStore()
    kept.kept = store.kept
    const exchanges = flow === 'identity' ? recorded.identity : [...recorded.collect, ...recorded['collect again']]
    const attester = attesterOver(replaying(exchanges, changed, response), kept)
    try {
      if (flow === 'identity') await attester.identity({ renewKey: true })
      else await attester.collect(qualifyingData)
      if (flow === 'collect again') await attester.collect(qualifyingData)
      return 'done'
    } catch (error) {
      if (error instanceof AttestdError) return error.code
      throw error
    }
  }

  it('undamaged, the recording plays', async () => {
    for (const flow of ['identity', 'collect', 'collect again'] as const) {
      expect(await outcome(flow, null, new Uint8Array())).toBe('done')
    }
  })

  it.each(['identity', 'collect', 'collect again'] as const)(
    'in the flow "%s": an error that says what to do, or an answer',
    async (flow) => {
      const seen = new Map<string, number>()
      const check = async (exchange: Exchange, bytes: Uint8Array) => {
        const code = await outcome(flow, exchange, bytes)
        seen.set(code, (seen.get(code) ?? 0) + 1)
      }
      const step = flow === 'collect again' ? 1 : 7
      for (const exchange of recorded[flow]) {
        const { response } = exchange
        for (let at = 0; at < response.length; at += at < 40 ? 1 : step)
          await check(exchange, flipped(response, at, 0xff))
        for (const size of [0, 1, 9, 10, 11, response.length - 1, response.length + 1, 4096]) {
          await check(exchange, resized(response, size))
        }
      }
      expect(seen.get('TPM_RESPONSE_MALFORMED')).toBeGreaterThan(50)
      expect(seen.get('TPM_INCONSISTENT')).toBeGreaterThan(10)
      expect([...seen.keys()].filter((code) => !/^(?:done|TPM_|AK_|EK_)/.test(code))).toEqual([])
    },
    60_000,
  )
})
