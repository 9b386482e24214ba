import { describe, expect, it } from 'vitest'
import { type TctiContext, type Tctildr, tctiCodes } from '../../native/tctildr.ts'
import { openTctiChannel } from './tpm-tcti.ts'

const response = Uint8Array.from([0x80, 0x01, 0, 0, 0, 10, 0, 0, 0, 0])
const command = Uint8Array.from([0x80, 0x01, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 8])
const never = new AbortController().signal

/** A TCTI that gives these receive codes in order; records every call. */
function fakeLibrary(codes: readonly number[], sent: number = tctiCodes.success) {
  const calls: string[] = []
  const left = [...codes]
  const context: TctiContext = {
    transmit: async () => {
      calls.push('transmit')
      return sent
    },
    receive: async (timeoutMs) => {
      calls.push(`receive ${timeoutMs}`)
      const code = left.shift() ?? tctiCodes.success
      return { code, response: code === tctiCodes.success ? response : new Uint8Array() }
    },
    finalize: async () => {
      calls.push('finalize')
    },
  }
  const library: Tctildr = { initialize: async () => ({ code: tctiCodes.success, context }) }
  return { library, context, calls }
}

const refusing = (code: number): Tctildr => ({ initialize: async () => ({ code, context: null }) })

describe('an exchange', () => {
  it('receives in slices of 250 ms until the response is there (NAT-30)', async () => {
    const { library, calls } = fakeLibrary([tctiCodes.tryAgain, tctiCodes.tryAgain])
    const channel = await openTctiChannel(library, 'device:/x')
    expect(await channel.exchange(command, never)).toEqual(response)
    expect(calls).toEqual(['transmit', 'receive 250', 'receive 250', 'receive 250'])
  })

  it('stops between two slices when its signal aborts', async () => {
    const controller = new AbortController()
    const { library, context, calls } = fakeLibrary(Array(1000).fill(tctiCodes.tryAgain))
    const receive = context.receive
    Object.assign(context, {
      receive: (timeoutMs: number) => {
        if (calls.length === 4) controller.abort(new Error('deadline'))
        return receive(timeoutMs)
      },
    })
    const channel = await openTctiChannel(library, 'device:/x')
    await expect(channel.exchange(command, controller.signal)).rejects.toThrow('deadline')
    expect(calls).toHaveLength(5)
  })

  it.each([
    ['transmit', tctiCodes.badSequence, [], '0x000a0007'],
    ['receive', tctiCodes.success, [tctiCodes.ioError], '0x000a000a'],
    ['receive', tctiCodes.success, [tctiCodes.tryAgain, 0x000a0001], '0x000a0001'],
  ] as const)('that fails in %s names the code', async (doing, sent, codes, rc) => {
    const { library } = fakeLibrary(codes, sent)
    const channel = await openTctiChannel(library, 'device:/x')
    await expect(channel.exchange(command, never)).rejects.toMatchObject({
      code: 'TPM_IO',
      message: `device:/x: ${doing} failed with ${rc}`,
      facts: { rc, transport: 'tcti' },
    })
  })
})

describe('closing (NAT-32)', () => {
  it('frees the context once, and not before the call in flight has returned', async () => {
    const { library, context, calls } = fakeLibrary([])
    let release = () => {}
    Object.assign(context, {
      receive: () => new Promise((resolve) => (release = () => resolve({ code: tctiCodes.success, response }))),
    })
    const channel = await openTctiChannel(library, 'device:/x')
    const answer = channel.exchange(command, never)
    await Promise.resolve()
    const closing = Promise.all([channel.close(), channel.close()])
    await new Promise((resolve) => setImmediate(resolve))
    expect(calls).toEqual(['transmit'])
    release()
    await answer
    await closing
    expect(calls).toEqual(['transmit', 'finalize'])
  })
})

describe('opening', () => {
  it.each([
    ['nonexistent:x', tctiCodes.notSupported, 'TPM_TCTI_UNAVAILABLE'],
    ['device:/dev/no-such-tpm', tctiCodes.ioError, 'TPM_UNAVAILABLE'],
    ['device:/dev/null', tctiCodes.ioError, 'TPM_UNAVAILABLE'],
    ['swtpm:path=/x', tctiCodes.ioError, 'TPM_UNAVAILABLE'],
    ['tabrmd:', 0x000a000b, 'TPM_UNAVAILABLE'],
  ])('%s with code %i is %s', async (configuration, code, expected) => {
    await expect(openTctiChannel(refusing(code), configuration)).rejects.toMatchObject({ code: expected })
  })

  it('names the code of the library', async () => {
    await expect(openTctiChannel(refusing(tctiCodes.ioError), 'device:/dev/null')).rejects.toMatchObject({
      facts: { rc: '0x000a000a', transport: 'tcti' },
    })
  })
})
