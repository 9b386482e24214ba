import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { SoftwareTpm } from '../../../test/support/software-tpm.ts'
import { configurationSchema } from '../configuration/schema.ts'
import type { Item } from './item.ts'
import { lookAtLogs } from './log-items.ts'
import type { KnownSettings } from './settings-items.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-logs-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const tpm = new SoftwareTpm()
tpm.measureFile('/usr/bin/one')
const written = (name: string, bytes: Uint8Array) => {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}
const eventLog = written('bios', tpm.eventLog())
const imaLog = written('runtime', tpm.imaLog().data)
const absent = join(folder, 'none')
const garbage = written('garbage', new Uint8Array(100).fill(0xaa))

interface Said {
  readonly event_log?: string
  readonly ima_log?: string
  readonly required?: boolean
}

async function look(said: Said, registers: Parameters<typeof lookAtLogs>[1] = tpm.pcrs()): Promise<Item[]> {
  const { shape } = configurationSchema
  const { required = false, ...paths } = said
  const demand = required ? 'required' : 'optional'
  const settings: KnownSettings = {
    configured: true,
    tpm: shape.tpm.parse({ event_log: eventLog, ima_log: imaLog, ...paths }),
    tdx: shape.tdx.parse({}),
    verifier: shape.verifier.parse({ event_log: demand, ima: demand }),
    agent: shape.agent.parse({}),
    listen: shape.listen.parse({}),
    trust: null,
  }
  return lookAtLogs(settings, registers)
}

const states = (items: readonly Item[]) => items.map(({ id, state }) => [id, state])

describe('the logs', () => {
  it('that lead to the present PCRs are fine', async () => {
    const items = await look({})
    expect(states(items)).toEqual([
      ['log.event', 'ok'],
      ['log.ima', 'ok'],
    ])
    for (const { says } of items) expect(says).toContain('leads to the present PCRs')
  })

  it('of another boot are a warning, and a problem where they are required', async () => {
    const other = new SoftwareTpm({ ek: tpm.ek, ak: tpm.ak })
    other.extend(0, Uint8Array.of(1))
    other.measureFile('/usr/bin/other')
    for (const [required, state] of [
      [false, 'warning'],
      [true, 'problem'],
    ] as const) {
      const items = await look({ required }, other.pcrs())
      expect(states(items)).toEqual([
        ['log.event', state],
        ['log.ima', state],
      ])
      for (const { says, remedy } of items) {
        expect(says).toContain('does not lead to the present PCRs')
        expect(remedy).toContain('restart the machine')
      }
    }
  })

  it.each([
    ['absent', absent, /there is no /],
    ['garbage', garbage, /does not parse/],
  ])('that are %s are a warning, and a problem where they are required', async (_, path, says) => {
    for (const [required, state] of [
      [false, 'warning'],
      [true, 'problem'],
    ] as const) {
      const [events] = await look({ event_log: path, required })
      expect(events).toMatchObject({ state, says: expect.stringMatching(says) })
    }
  })

  it('of IMA that are no records are a problem of reading', async () => {
    const [, ima] = await look({ ima_log: garbage })
    expect(ima).toMatchObject({ state: 'problem', says: expect.stringContaining('MALFORMED') })
    expect((await look({ ima_log: absent }))[1]).toMatchObject({ state: 'warning' })
  })

  it('that are folders, or may not be read, are a problem with the remedy of their error', async () => {
    const items = await look({ event_log: folder, ima_log: folder })
    expect(items.map(({ state, says }) => [state, says.split(':')[0]])).toEqual([
      ['problem', 'eventlog_unreadable'],
      ['problem', 'ima_unreadable'],
    ])
    const locked = written('locked', tpm.eventLog())
    chmodSync(locked, 0)
    const [event] = await look({ event_log: locked })
    expect(event?.state).toBe(process.geteuid?.() === 0 ? 'ok' : 'problem')
  })

  it('without registers to compare with are only said to be readable', async () => {
    for (const { state, says } of await look({}, null)) {
      expect([state, says]).toEqual(['ok', expect.stringContaining('there are no PCRs to compare it with')])
    }
  })
})
