import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { ScriptedTpm } from '../../../test/support/scripted-tpm.ts'
import { AttestdError, declareErrors } from '../../base/errors.ts'
import { passwordSession, policySession } from '../../evidence/tpm/command-codec.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import { TpmDialogue } from './dialogue.ts'

const transport = declareErrors({
  TPM_IO: { kind: 'unavailable', title: 'test', remedy: 'test' },
  TPM_BUSY: { kind: 'unavailable', title: 'test', remedy: 'test' },
})
const never = new AbortController().signal
const random = { randomBytes: Uint8Array.of(1, 2) }
const startSession = {
  tpmKey: 0x40000007,
  bind: 0x40000007,
  nonceCaller: new Uint8Array(16),
  encryptedSalt: new Uint8Array(),
  sessionType: 1,
  symmetric: 0x10,
  authHash: 'sha256' as const,
}

function talk(tpm: ScriptedTpm, signal = never) {
  const clock = new FakeClock()
  return { clock, dialogue: new TpmDialogue(tpm, clock, signal) }
}

/** Lets a promise settle while the fake clock runs; gives the milliseconds that passed and the outcome. */
async function settle<T>(clock: FakeClock, promise: Promise<T>) {
  const start = clock.monotonic()
  let outcome: { value: T } | { error: unknown } | undefined
  promise.then(
    (value) => {
      outcome = { value }
    },
    (error: unknown) => {
      outcome = { error }
    },
  )
  for (let step = 0; step < 200 && outcome === undefined; step++) await clock.advance(step === 0 ? 0 : 20)
  return { ms: clock.monotonic() - start, ...outcome }
}

describe('retries by the table of NAT 3.5', () => {
  const refusing = (rc: number, times: number) =>
    new ScriptedTpm().on(tpm2.getRandom, (_, turn) => (turn < times ? rc : random))

  it.each([
    [0x922, 1, 0],
    [0x922, 2, 20],
    [0x922, 3, 120],
    [0x908, 4, 620],
    [0x90a, 5, 2620],
    [0x920, 1, 1000],
    [0x923, 3, 3000],
  ])('rc %i refused %i times: the same bytes again, after %i ms in all', async (rc, times, ms) => {
    const tpm = refusing(rc, times)
    const { clock, dialogue } = talk(tpm)
    const outcome = await settle(clock, dialogue.execute(tpm2.getRandom, { bytes: 2 }))
    expect(outcome).toMatchObject({ value: random, ms })
    expect(tpm.sent).toHaveLength(times + 1)
    expect(new Set(tpm.sent.map((bytes) => Buffer.from(bytes).toString('hex'))).size).toBe(1)
  })

  it.each([
    [0x922, 6],
    [0x920, 6],
  ])('rc %i: after %i tries it is TPM_NOT_READY', async (rc, tries) => {
    const tpm = refusing(rc, 100)
    const { clock, dialogue } = talk(tpm)
    const promise = dialogue.execute(tpm2.getRandom, { bytes: 2 })
    const caught = promise.catch((error: unknown) => error)
    await clock.advance(10_000)
    expect(await caught).toMatchObject({
      code: 'TPM_NOT_READY',
      kind: 'unavailable',
      facts: { command: 'TPM2_GetRandom', rc: `0x${rc.toString(16)}`, transport: 'device' },
    })
    expect(tpm.sent).toHaveLength(tries)
  })

  it.each([
    [0x902, 'TPM_NO_SLOTS', 75],
    [0x903, 'TPM_NO_SLOTS', 75],
    [0x906, 'TPM_NO_SLOTS', 75],
    [0x901, 'TPM_STATE_LOST', 75],
    [0x910, 'TPM_STATE_LOST', 75],
    [0x91e, 'TPM_STATE_LOST', 75],
    [0x100, 'TPM_NOT_STARTED', 75],
    [0x98e, 'TPM_AUTH', 78],
    [0x9a2, 'TPM_AUTH', 78],
    [0x1c4, 'TPM_COMMAND_REFUSED', 75],
    [0x000b0143, 'TPM_COMMAND_REFUSED', 75],
    [0x0bad, 'TPM_COMMAND_REFUSED', 75],
  ])('rc %i is sent once and is %s', async (rc, code, exitCode) => {
    const tpm = refusing(rc, 100)
    const { dialogue } = talk(tpm)
    const error = await dialogue.execute(tpm2.getRandom, { bytes: 2 }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(AttestdError)
    expect(error).toMatchObject({ code, exitCode, facts: { rc: `0x${rc.toString(16)}` } })
    expect(tpm.sent).toHaveLength(1)
  })

  it('a lockout tells when passwords are taken again, and is not retried', async () => {
    const properties = [
      { property: 0x20e, value: 4 },
      { property: 0x210, value: 600 },
      { property: 0x211, value: 86400 },
      { property: 0x105, value: 7 },
    ]
    const tpm = refusing(0x921, 100).on(tpm2.getCapability, () => ({
      moreData: false,
      data: { capability: 'properties' as const, properties },
    }))
    const { dialogue } = talk(tpm)
    await expect(dialogue.execute(tpm2.getRandom, { bytes: 2 })).rejects.toMatchObject({
      code: 'TPM_LOCKED_OUT',
      facts: { failed_tries: 4, lockout_interval_s: 600, lockout_recovery_s: 86400, rc: '0x921' },
    })
    expect(tpm.received).toEqual(['GetRandom', 'GetCapability'])
  })

  it('a lockout is reported also where the TPM tells nothing about it', async () => {
    const tpm = refusing(0x921, 100).on(tpm2.getCapability, () => 0x101)
    await expect(talk(tpm).dialogue.execute(tpm2.getRandom, { bytes: 2 })).rejects.toMatchObject({
      code: 'TPM_LOCKED_OUT',
    })
  })
})

describe('a refusal about the request', () => {
  it('comes back as a value from attempt', async () => {
    const tpm = new ScriptedTpm().on(tpm2.nvReadPublic, () => 0x18b)
    const answer = await talk(tpm).dialogue.attempt(tpm2.nvReadPublic, { index: 0x01c00002 })
    expect(answer).toMatchObject({ outcome: 'refused', code: { name: 'HANDLE', rc: 0x18b } })
  })

  it('about the TPM as a whole is thrown from attempt too', async () => {
    const tpm = new ScriptedTpm().on(tpm2.nvReadPublic, () => 0x921).on(tpm2.getCapability, () => 0x921)
    await expect(talk(tpm).dialogue.attempt(tpm2.nvReadPublic, { index: 1 })).rejects.toMatchObject({
      code: 'TPM_LOCKED_OUT',
    })
  })
})

describe('a TPM that has not been started', () => {
  it('is started if it is a simulator', async () => {
    const tpm = new ScriptedTpm({ kind: 'swtpm', simulated: true })
      .on(tpm2.getRandom, (_, turn) => (turn === 0 ? 0x100 : random))
      .on(tpm2.startup, () => ({}))
    expect(await talk(tpm).dialogue.execute(tpm2.getRandom, { bytes: 2 })).toEqual(random)
    expect(tpm.received).toEqual(['GetRandom', 'Startup', 'GetRandom'])
  })

  it('is not started twice', async () => {
    const tpm = new ScriptedTpm({ simulated: true }).on(tpm2.getRandom, () => 0x100).on(tpm2.startup, () => ({}))
    await expect(talk(tpm).dialogue.execute(tpm2.getRandom, { bytes: 2 })).rejects.toMatchObject({
      code: 'TPM_NOT_STARTED',
    })
    expect(tpm.received).toEqual(['GetRandom', 'Startup', 'GetRandom'])
  })

  it('has lost what the flow had loaded', async () => {
    const tpm = new ScriptedTpm({ simulated: true })
      .on(tpm2.startAuthSession, () => ({ session: 0x03000000, nonceTpm: new Uint8Array(16) }))
      .on(tpm2.getRandom, () => 0x100)
      .on(tpm2.startup, () => ({}))
    const { dialogue } = talk(tpm)
    await dialogue.execute(tpm2.startAuthSession, startSession)
    await expect(dialogue.execute(tpm2.getRandom, { bytes: 2 })).rejects.toMatchObject({ code: 'TPM_STATE_LOST' })
    await dialogue.end()
    expect(tpm.received).not.toContain('FlushContext')
  })
})

describe('what came into being (NAT-28)', () => {
  const loading = () => {
    let next = 0
    return new ScriptedTpm()
      .on(tpm2.startAuthSession, () => ({ session: 0x03000000 + next++, nonceTpm: new Uint8Array(16) }))
      .on(tpm2.contextLoad, () => ({ object: 0x80000000 + next++ }))
      .on(tpm2.load, (_, turn) => (turn === 0 ? 0x1df : { object: 0x80000000 + next++, name: new Uint8Array(34) }))
      .on(tpm2.nvRead, () => ({ data: new Uint8Array(1) }))
  }
  const flushed = (tpm: ScriptedTpm) =>
    tpm.sent.filter((bytes) => bytes[9] === 0x65).map((bytes) => Buffer.from(bytes.subarray(10)).toString('hex'))
  const context = { sequence: 1n, savedHandle: 0x80000000, hierarchy: 0x4000000b, blob: new Uint8Array(8) }
  const kept = {
    parent: 0x80000000,
    privateArea: new Uint8Array(4),
    publicArea: {
      type: 'rsa' as const,
      nameAlg: 'sha256' as const,
      attributes: 0,
      authPolicy: new Uint8Array(),
      symmetric: { algorithm: 'null' as const },
      scheme: { algorithm: 'null' as const },
      keyBits: 2048,
      exponent: 0,
      modulus: new Uint8Array(),
    },
  }

  it('is flushed at the end, the last first', async () => {
    const tpm = loading()
    const { dialogue } = talk(tpm)
    await dialogue.execute(tpm2.contextLoad, { context })
    await dialogue.execute(tpm2.startAuthSession, startSession)
    await dialogue.end()
    expect(flushed(tpm)).toEqual(['03000001', '80000000'])
  })

  it('is not flushed twice', async () => {
    const tpm = loading()
    const { dialogue } = talk(tpm)
    const { object } = await dialogue.execute(tpm2.contextLoad, { context })
    await dialogue.release(object)
    await dialogue.release(0x80000007)
    await dialogue.end()
    await dialogue.end()
    expect(flushed(tpm)).toEqual(['80000000'])
  })

  it('a policy session ends with the command that used it, but is still there if the command failed', async () => {
    const tpm = loading()
    const { dialogue } = talk(tpm)
    for (let turn = 0; turn < 2; turn++) {
      const { session } = await dialogue.execute(tpm2.startAuthSession, startSession)
      await dialogue.attempt(tpm2.load, kept, [policySession(session)])
    }
    await dialogue.end()
    expect(flushed(tpm)).toEqual(['80000002', '03000000'])
  })

  it('a session that was asked to go on is ours to flush', async () => {
    const tpm = loading()
    const { dialogue } = talk(tpm)
    const { session } = await dialogue.execute(tpm2.startAuthSession, startSession)
    await dialogue.attempt(tpm2.nvRead, { authority: 1, index: 1, size: 1, offset: 0 }, [
      { ...policySession(session), attributes: 1 },
    ])
    await dialogue.attempt(tpm2.nvRead, { authority: 1, index: 1, size: 1, offset: 0 }, [passwordSession])
    await dialogue.end()
    expect(flushed(tpm)).toEqual(['03000000'])
  })

  it('only transient handles are flushed, whatever the TPM calls its new object', async () => {
    const tpm = new ScriptedTpm().on(tpm2.contextLoad, () => ({ object: 0x81010001 }))
    const { dialogue } = talk(tpm)
    await dialogue.execute(tpm2.contextLoad, { context })
    await dialogue.end()
    expect(flushed(tpm)).toEqual([])
  })

  it('is flushed although the signal has aborted, and nothing else is sent then', async () => {
    const tpm = loading()
    const stop = new AbortController()
    const { dialogue } = talk(tpm, stop.signal)
    await dialogue.execute(tpm2.contextLoad, { context })
    stop.abort(new Error('enough'))
    await expect(dialogue.execute(tpm2.startAuthSession, startSession)).rejects.toThrow('enough')
    await dialogue.end()
    expect(tpm.received).toEqual(['ContextLoad', 'FlushContext'])
  })

  it('waiting for a retry ends when the signal aborts', async () => {
    const tpm = new ScriptedTpm().on(tpm2.getRandom, () => 0x920)
    const stop = new AbortController()
    const { clock, dialogue } = talk(tpm, stop.signal)
    const promise = dialogue.execute(tpm2.getRandom, { bytes: 2 }).catch((error: unknown) => error)
    await clock.advance(500)
    stop.abort(new Error('enough'))
    expect(await promise).toMatchObject({ message: 'enough' })
    expect(tpm.sent).toHaveLength(1)
  })

  it('that cannot be flushed leaves nothing but to close the connection', async () => {
    const tpm = loading().on(tpm2.flushContext, () => 0x1c4)
    const { dialogue } = talk(tpm)
    await dialogue.execute(tpm2.contextLoad, { context })
    await dialogue.end()
    expect(dialogue.state).toBe('untrusted')
  })

  it('the end goes on past what is gone', async () => {
    const tpm = loading().on(tpm2.flushContext, (_, turn) => (turn === 0 ? 0x1cb : {}))
    const { dialogue } = talk(tpm)
    await dialogue.execute(tpm2.contextLoad, { context })
    await dialogue.execute(tpm2.contextLoad, { context })
    await dialogue.end()
    expect(flushed(tpm)).toEqual(['80000001', '80000000'])
  })
})

describe('a way to the TPM that fails', () => {
  const context = { sequence: 1n, savedHandle: 0x80000000, hierarchy: 0x4000000b, blob: new Uint8Array(8) }
  const loaded = () => new ScriptedTpm().on(tpm2.contextLoad, () => ({ object: 0x80000000 }))

  it('is not used again: a resource manager has flushed what we had', async () => {
    const tpm = loaded().on(tpm2.getRandom, () => transport.error('TPM_IO', 'gone'))
    const { dialogue } = talk(tpm)
    await dialogue.execute(tpm2.contextLoad, { context })
    await expect(dialogue.execute(tpm2.getRandom, { bytes: 2 })).rejects.toMatchObject({ code: 'TPM_IO' })
    expect(dialogue.state).toBe('broken')
    await dialogue.end()
    expect(tpm.received).not.toContain('FlushContext')
  })

  it('does not lose what is loaded when a command merely found no place in the queue', async () => {
    const tpm = loaded().on(tpm2.getRandom, () => transport.error('TPM_BUSY', 'full'))
    const { dialogue } = talk(tpm)
    await dialogue.execute(tpm2.contextLoad, { context })
    await expect(dialogue.execute(tpm2.getRandom, { bytes: 2 })).rejects.toMatchObject({ code: 'TPM_BUSY' })
    expect(dialogue.state).toBe('open')
  })

  it('is noticed by its generation before a stale handle is used (NAT-26)', async () => {
    const tpm = loaded().on(tpm2.getRandom, () => random)
    const { dialogue } = talk(tpm)
    await dialogue.execute(tpm2.contextLoad, { context })
    tpm.generation++
    await expect(dialogue.execute(tpm2.getRandom, { bytes: 2 })).rejects.toMatchObject({ code: 'TPM_STATE_LOST' })
    await dialogue.end()
    expect(tpm.received).toEqual(['ContextLoad'])
  })
})

describe('a TPM that speaks no sense', () => {
  it.each([
    ['too few bytes', Uint8Array.of(0x80, 1, 0, 0)],
    ['another length than the header says', Uint8Array.of(0x80, 1, 0, 0, 0, 12, 0, 0, 0, 0)],
    ['a success without parameters', Uint8Array.of(0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0)],
    ['a refusal with a body', Uint8Array.of(0x80, 1, 0, 0, 0, 11, 0, 0, 1, 1, 0)],
  ])('%s: TPM_RESPONSE_MALFORMED, and nothing more is sent', async (_, bytes) => {
    const tpm = new ScriptedTpm()
      .on(tpm2.startAuthSession, () => ({ session: 0x03000000, nonceTpm: new Uint8Array(16) }))
      .on(tpm2.getRandom, () => bytes)
    const { dialogue } = talk(tpm)
    await dialogue.execute(tpm2.startAuthSession, startSession)
    await expect(dialogue.execute(tpm2.getRandom, { bytes: 2 })).rejects.toMatchObject({
      code: 'TPM_RESPONSE_MALFORMED',
      exitCode: 65,
      facts: { command: 'TPM2_GetRandom' },
    })
    expect(dialogue.state).toBe('untrusted')
    await dialogue.end()
    expect(tpm.received).toEqual(['StartAuthSession', 'GetRandom'])
  })

  const failing = (probe: number | typeof random) =>
    new ScriptedTpm()
      .on(tpm2.startAuthSession, () => ({ session: 0x03000000, nonceTpm: new Uint8Array(16) }))
      .on(tpm2.policyGetDigest, () => 0x101)
      .on(tpm2.getRandom, () => probe)

  it('in failure mode gets no more commands until it is opened anew', async () => {
    const tpm = failing(0x101)
    const { dialogue } = talk(tpm)
    const { session } = await dialogue.execute(tpm2.startAuthSession, startSession)
    await expect(dialogue.execute(tpm2.policyGetDigest, { policySession: session })).rejects.toMatchObject({
      code: 'TPM_FAILURE',
    })
    expect(dialogue.state).toBe('untrusted')
    await dialogue.end()
    expect(tpm.received).toEqual(['StartAuthSession', 'PolicyGetDigest', 'GetRandom'])
  })

  it('that says FAILURE of one command only goes on', async () => {
    const tpm = failing(random)
    const { dialogue } = talk(tpm)
    const { session } = await dialogue.execute(tpm2.startAuthSession, startSession)
    const answer = await dialogue.attempt(tpm2.policyGetDigest, { policySession: session })
    expect(answer).toMatchObject({ outcome: 'refused', code: { name: 'FAILURE' } })
    expect(dialogue.state).toBe('open')
    await dialogue.end()
    expect(tpm.received.at(-1)).toBe('FlushContext')
  })
})
