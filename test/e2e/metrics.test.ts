import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AgentHome, AgentProcess, audience } from '../support/agent-process.ts'
import { parseOpenMetrics, sampleValue } from '../support/open-metrics.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { tokensIn } from '../support/tokens-in.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'

const token = `/v1/token?audience=${encodeURIComponent(audience)}`
const havePromtool = spawnSync('promtool', ['--version']).status === 0

/** Prometheus' own reader of this format takes files whose samples have times. */
function readByPrometheus(text: string) {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-metrics-'))
  try {
    const file = join(folder, 'metrics.txt')
    writeFileSync(file, text.replace(/^([^#\n].*)$/gm, '$1 1767225600'))
    return spawnSync('promtool', ['tsdb', 'create-blocks-from', 'openmetrics', file, join(folder, 'blocks')])
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe.skipIf(!haveSwtpm)('GET /metrics of a running agent', () => {
  const { machine, folder } = useTpmMachine()
  let agent: AgentProcess
  const text = async () => (await agent.ask('/metrics', { socket: 'admin' })).body
  const metrics = async () => parseOpenMetrics(await text())

  beforeAll(async () => {
    agent = await AgentProcess.start(new AgentHome(join(folder, 'agent'), machine()))
    for (let n = 0; n < 3; n++) await agent.ask(token)
    await agent.ask(`${token}%2Fother`)
    await agent.ask('/v1/token?audience=https%3A%2F%2Fforeign.example')
  })
  afterAll(() => agent.kill())

  it('is there for administrators only (API-02)', async () => {
    const { status, headers } = await agent.ask('/metrics', { socket: 'admin' })
    expect([status, headers['content-type']]).toEqual([
      200,
      'application/openmetrics-text; version=1.0.0; charset=utf-8',
    ])
    expect((await agent.ask('/metrics')).status).toBe(404)
  })

  it('tells what callers got, who they were, and what the device did', async () => {
    const families = await metrics()
    const value = (name: string, labels = {}) => sampleValue(families, name, labels)
    const answers = { listener: 'api', method: 'GET', code: '200' }
    expect(value('attestd_request_total', { ...answers, source: 'issued' })).toBe(2)
    expect(value('attestd_request_total', { ...answers, source: 'cache' })).toBe(2)
    expect(value('attestd_policy_denied_total', { rule: 'tests', dimension: 'audience' })).toBe(1)
    expect(value('attestd_identity_total', { kind: 'pidfd', result: 'ok' })).toBeGreaterThanOrEqual(5)
    expect(value('attestd_refresh_total', { issuer: 'local', result: 'landed', code: 'none' })).toBe(2)
    expect(value('attestd_quote_duration_seconds_count', { device: 'tpm' })).toBeGreaterThanOrEqual(2)
    expect(value('attestd_batch_size_count')).toBe(2)
    expect(value('attestd_quote_queue_depth')).toBe(0)
    expect(value('attestd_quote_stuck', { device: 'tpm' })).toBe(0)
    expect(value('attestd_expired_served_total')).toBe(0)
    expect(value('attestd_open_fds')).toBeGreaterThan(10)
    expect(value('attestd_event_loop_lag_seconds')).toBeLessThan(10)
  })

  it('names no audience, no caller and no token', async () => {
    const told = await text()
    expect(told).not.toMatch(/rp\.example|foreign\.example|uid:/)
    expect(tokensIn(told)).toEqual([])
  })

  it.skipIf(!havePromtool)('is read by Prometheus', async () => {
    const { status, stderr } = readByPrometheus(await text())
    expect([status, String(stderr)]).toEqual([0, ''])
  })
})
