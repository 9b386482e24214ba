import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { parseOpenMetrics, sampleValue } from '../../../test/support/open-metrics.ts'
import { noCounts, type SinkStatus } from '../../passport/sinks/sink-status.ts'
import { createLog } from '../log.ts'
import { openMetrics } from '../metrics/agent-metrics.ts'
import { Observers } from '../observers.ts'
import { ExpiredFiles } from './expired-files.ts'
import type { Host } from './host.ts'

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

function rig(change: Partial<SinkStatus> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-files-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'token')
  const clock = new FakeClock()
  const metrics = openMetrics({
    ...{ clock, version: '1', brokerEvents: new Observers(), workloadEvents: new Observers() },
    ...{ entries: () => [], devices: () => [], waiting: () => 0 },
  })
  const expiresAt = clock.now() / 1000 + 60
  const counts = { ...noCounts, written: 2, restored: 1, failed: 4 }
  const sink: SinkStatus = {
    name: 'aws',
    path,
    state: 'current',
    lastWriteAt: 1,
    expiresAt,
    error: null,
    counts,
    ...change,
  }
  metrics.sinks.follow(() => [null, sink])
  let log = ''
  const logger = createLog('info', { journal: false, write: (line) => (log += line) })
  const files = new ExpiredFiles({ metrics, log: logger, host: { clock } as unknown as Host })
  const value = async (name: string, labels = {}) => sampleValue(parseOpenMetrics(await metrics.text()), name, labels)
  const token = `${encoded({ alg: 'ES256' })}.${encoded({ exp: expiresAt })}.c2ln`
  return { path, clock, files, value, token, log: () => log }
}

describe('token files as consumers see them (BRK-167)', () => {
  it('with a token that is over count once, after two looks', async () => {
    const { path, clock, files, value, token, log } = rig()
    const expired = () => value('attestd_expired_served_total')
    writeFileSync(path, token)
    await files.look()
    await clock.advance(60_000)
    await files.look()
    expect(await expired()).toBe(0)
    for (let n = 0; n < 3; n++) await files.look()
    expect(await expired()).toBe(1)
    expect(log()).toContain('expired_token_in_file')
    expect(log()).not.toContain(token)
  })

  it('that go away, are foreign, or are no files do not count', async () => {
    const gone = rig()
    await gone.clock.advance(60_000)
    await gone.files.look()
    symlinkSync('/etc/passwd', gone.path)
    await gone.files.look()
    const foreign = rig({ error: { code: 'sink_content_foreign', detail: 'x', at: 1 } })
    writeFileSync(foreign.path, foreign.token)
    await foreign.clock.advance(60_000)
    for (let n = 0; n < 3; n++) await foreign.files.look()
    for (const { value } of [gone, foreign]) expect(await value('attestd_expired_served_total')).toBe(0)
  })
})
