import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { ScriptedTpm } from '../../../test/support/scripted-tpm.ts'
import { declareErrors } from '../../base/errors.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import type { TpmFlow } from './flow-runner.ts'
import { TpmFlowRunner } from './flow-runner.ts'

const declaration = { kind: 'unavailable', title: 'test', remedy: 'test' } as const
const transport = declareErrors({
  TPM_IO: declaration,
  TPM_TIMEOUT: declaration,
  TPM_UNAVAILABLE: declaration,
  TPM_STUCK: declaration,
})
const never = new AbortController().signal
const drawn = { randomBytes: Uint8Array.of(1) }
const draw: TpmFlow<number> = async (tpm) => (await tpm.execute(tpm2.getRandom, { bytes: 1 })).randomBytes.length

function runnerOver(...tpms: ScriptedTpm[]) {
  let opened = 0
  const connect = async () => {
    const next = tpms[opened++]
    if (!next) throw transport.error('TPM_UNAVAILABLE', 'no more')
    return next
  }
  return { runner: new TpmFlowRunner(connect, new FakeClock()), opened: () => opened }
}

describe('a flow', () => {
  it('opens the connection once, and uses it again', async () => {
    const tpm = new ScriptedTpm().on(tpm2.getRandom, () => drawn)
    const { runner, opened } = runnerOver(tpm)
    expect(await runner.run(draw, never)).toEqual({ value: 1, simulated: false })
    await runner.run(draw, never)
    expect([opened(), tpm.closed]).toEqual([1, 0])
    await runner.close()
    expect(tpm.closed).toBe(1)
  })

  it.each(['TPM_IO', 'TPM_TIMEOUT'] as const)('starts again once after %s, on the same connection', async (code) => {
    const tpm = new ScriptedTpm().on(tpm2.getRandom, (_, turn) => (turn === 0 ? transport.error(code, 'lost') : drawn))
    const { runner, opened } = runnerOver(tpm)
    expect((await runner.run(draw, never)).value).toBe(1)
    expect([opened(), tpm.closed, tpm.received]).toEqual([1, 0, ['GetRandom', 'GetRandom']])
  })

  it('does not start a third time', async () => {
    const tpm = new ScriptedTpm().on(tpm2.getRandom, () => transport.error('TPM_IO', 'lost'))
    await expect(runnerOver(tpm).runner.run(draw, never)).rejects.toMatchObject({ code: 'TPM_IO' })
    expect(tpm.received).toHaveLength(2)
  })

  it.each([
    [0x901, 'TPM_STATE_LOST'],
    [0x902, 'TPM_NO_SLOTS'],
    [0x910, 'TPM_STATE_LOST'],
  ])('starts again once after rc %i, then it is %s', async (rc, code) => {
    const tpm = new ScriptedTpm().on(tpm2.getRandom, () => rc)
    await expect(runnerOver(tpm).runner.run(draw, never)).rejects.toMatchObject({ code })
    expect(tpm.received).toHaveLength(2)
  })

  it.each([
    ['TPM_UNAVAILABLE', transport.error('TPM_UNAVAILABLE', 'absent')],
    ['TPM_STUCK', transport.error('TPM_STUCK', 'stuck')],
    ['TPM_AUTH', 0x98e],
    ['TPM_FAILURE', 0x101],
    ['TPM_COMMAND_REFUSED', 0x1c4],
  ])('does not start again after %s', async (code, answer) => {
    const tpm = new ScriptedTpm().on(tpm2.getRandom, () => answer)
    let starts = 0
    const counted: TpmFlow<number> = (dialogue) => {
      starts++
      return draw(dialogue)
    }
    await expect(runnerOver(tpm).runner.run(counted, never)).rejects.toMatchObject({ code })
    expect(starts).toBe(1)
  })

  it('does not start again once its signal has aborted', async () => {
    const stop = new AbortController()
    const tpm = new ScriptedTpm().on(tpm2.getRandom, () => {
      stop.abort(new Error('enough'))
      return transport.error('TPM_IO', 'lost')
    })
    await expect(runnerOver(tpm).runner.run(draw, stop.signal)).rejects.toMatchObject({ code: 'TPM_IO' })
    expect(tpm.received).toHaveLength(1)
  })

  it('an error of the flow itself is passed on as it is', async () => {
    const { runner } = runnerOver(new ScriptedTpm())
    const failing = async () => {
      throw new TypeError('a bug')
    }
    await expect(runner.run(failing, never)).rejects.toThrow(TypeError)
  })

  it.each([
    ['speaks no sense', Uint8Array.of(1, 2, 3)],
    ['is in failure mode', 0x101],
  ])('a TPM that %s is closed, and the next flow opens it anew', async (_, answer) => {
    const first = new ScriptedTpm().on(tpm2.getRandom, () => answer)
    const second = new ScriptedTpm().on(tpm2.getRandom, () => drawn)
    const { runner } = runnerOver(first, second)
    await expect(runner.run(draw, never)).rejects.toThrow()
    expect(first.closed).toBe(1)
    expect((await runner.run(draw, never)).value).toBe(1)
  })
})

/** A simulator without resource manager: what is loaded stays until it is flushed. */
function simulator(handles: Set<number>) {
  return new ScriptedTpm({ kind: 'swtpm', simulated: true })
    .on(tpm2.getCapability, ({ property }) => ({
      moreData: false,
      data: {
        capability: 'handles' as const,
        handles: [...handles].filter((handle) => handle >>> 24 === property >>> 24),
      },
    }))
    .on(tpm2.flushContext, ({ flushed }) => (handles.delete(flushed) ? {} : 0x1cb))
}

describe('a simulator (NAT-207)', () => {
  it('is cleaned of what a lost answer left behind, and of nothing else', async () => {
    const handles = new Set([0x80000000, 0x02000000])
    const tpm = simulator(handles).on(tpm2.getRandom, (_, turn) => {
      if (turn > 0) return drawn
      handles.add(0x80000001).add(0x02000001)
      return transport.error('TPM_IO', 'lost')
    })
    const { value, simulated } = await runnerOver(tpm).runner.run(draw, never)
    expect([value, simulated]).toEqual([1, true])
    expect([...handles]).toEqual([0x80000000, 0x02000000])
  })

  it('that cannot be reached is cleaned before the next flow', async () => {
    const handles = new Set([0x80000000])
    let reachable = true
    const tpm = simulator(handles)
    const listing = tpm.send
    const guarded = Object.assign(tpm, {
      send: async (command: Uint8Array) => {
        if (!reachable) throw transport.error('TPM_UNAVAILABLE', 'away')
        return listing(command)
      },
    })
    tpm.on(tpm2.getRandom, (_, turn) => {
      if (turn > 0) return drawn
      handles.add(0x80000001)
      reachable = false
      return transport.error('TPM_IO', 'lost')
    })
    const { runner } = runnerOver(guarded)
    await expect(runner.run(draw, never)).rejects.toMatchObject({ code: 'TPM_UNAVAILABLE' })
    expect([...handles]).toEqual([0x80000000, 0x80000001])
    reachable = true
    await runner.run(draw, never)
    expect([...handles]).toEqual([0x80000000])
  })

  it('in which others load something between two flows is not cleaned of that', async () => {
    const handles = new Set<number>()
    const tpm = simulator(handles).on(tpm2.getRandom, () => drawn)
    const { runner } = runnerOver(tpm)
    await runner.run(draw, never)
    handles.add(0x80000005)
    await runner.run(draw, never)
    expect([...handles]).toEqual([0x80000005])
  })
})
