import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { BrokerRig, type RigOptions } from '../../../test/support/broker-rig.ts'
import { tokenRequest, upstreamErrors } from '../../../test/support/fake-token-source.ts'
import { parseOpenMetrics, sampleValue } from '../../../test/support/open-metrics.ts'
import { someone } from '../../../test/support/workload-room.ts'
import type { BrokerEvent } from '../../passport/broker-events.ts'
import type { WorkloadEvent } from '../../workload-api/workload-log.ts'
import { Observers } from '../observers.ts'
import { openMetrics } from './agent-metrics.ts'
import { AudienceLabels, BoundedLabel } from './bounded-label.ts'

const hash = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 8)
const warm = [tokenRequest({ audience: ['https://warm.example'] })]

function openRig(options: RigOptions = {}) {
  const brokerEvents = new Observers<BrokerEvent>()
  const workloadEvents = new Observers<WorkloadEvent>()
  const rig = new BrokerRig({ ...options, observe: brokerEvents.emit })
  const metrics = openMetrics({
    ...{ clock: rig.clock, version: '1.2.3', brokerEvents, workloadEvents },
    entries: () => rig.broker.status().entries,
    devices: () => [{ device: 'tdx', queued: 3, stuck: true }],
    waiting: () => 4,
  })
  const read = async () => parseOpenMetrics(await metrics.text())
  const value = async (name: string, labels = {}) => sampleValue(await read(), name, labels)
  return { rig, metrics, workloadEvents, read, value }
}

/** The names and labels of broker.md section 13, and nothing else. */
const named: Readonly<Record<string, readonly string[]>> = {
  attestd_token_expiry_timestamp_seconds: ['issuer', 'aud'],
  attestd_token_last_success_timestamp_seconds: ['issuer', 'aud'],
  attestd_entry_state: ['issuer', 'aud', 'state'],
  attestd_refresh_total: ['issuer', 'result', 'code'],
  attestd_refresh_duration_seconds: [],
  attestd_request_total: ['listener', 'method', 'code', 'source'],
  attestd_request_duration_seconds: [],
  attestd_singleflight_joins_total: [],
  attestd_late_results_dropped_total: [],
  attestd_quote_queue_depth: [],
  attestd_quote_duration_seconds: ['device'],
  attestd_quote_stuck: ['device'],
  attestd_batch_size: [],
  attestd_clock_jump_total: ['kind'],
  attestd_policy_denied_total: ['rule', 'dimension'],
  attestd_rate_limited_total: ['stage'],
  attestd_identity_total: ['kind', 'result'],
  attestd_sink_write_total: ['sink', 'result'],
  attestd_sink_expiry_timestamp_seconds: ['sink'],
  attestd_journal_errors_total: [],
  attestd_expired_served_total: [],
  attestd_event_loop_lag_seconds: [],
  attestd_open_fds: [],
  attestd_build_info: ['version'],
}

const answered: WorkloadEvent = {
  ...{ event: 'answered', listener: 'api', route: '/v1/token', method: 'GET', status: 200 },
  ...{ code: null, source: 'cache', durationMs: 0.3 },
}

describe('the metrics', () => {
  it('are those of section 13 with their labels, in the format of OpenMetrics', async () => {
    const { rig, metrics, workloadEvents, read } = openRig({ warm })
    rig.keepFresh()
    await rig.clock.advance(2_000)
    rig.clock.jump(60_000)
    rig.broker.status()
    for (const told of [
      answered,
      {
        event: 'denied',
        listener: 'api',
        rule: 'a"\\\nb',
        caller: 'uid:1',
        who: someone,
        code: 'policy_denied',
        dimension: 'fresh',
      },
      { event: 'rate_limited', listener: 'api', stage: 'accept' },
      { event: 'caller_identified', listener: 'api', identity: 'pidfd', result: 'ok' },
    ] as const)
      workloadEvents.emit(told)
    metrics.devices.quoted('tdx', 900)
    metrics.devices.batched(17)
    metrics.sinks.written('aws', 'ok')
    metrics.sinks.ends('aws', null)
    const families = await read()
    const found = [...families.values()].map(({ name, type, samples }): [string, string[]] => {
      const labels = new Set(samples.flatMap((sample) => Object.keys(sample.labels)))
      labels.delete('le')
      return [type === 'counter' ? `${name}_total` : name, [...labels]]
    })
    expect(Object.fromEntries(found)).toEqual(named)
    expect(sampleValue(families, 'attestd_policy_denied_total', { rule: 'a"\\\nb', dimension: 'fresh' })).toBe(1)
    expect(sampleValue(families, 'attestd_batch_size_bucket', { le: '16' })).toBe(0)
    expect(sampleValue(families, 'attestd_batch_size_bucket', { le: '32' })).toBe(1)
    expect(sampleValue(families, 'attestd_quote_stuck', { device: 'tdx' })).toBe(1)
    expect(sampleValue(families, 'attestd_quote_queue_depth')).toBe(7)
    expect(sampleValue(families, 'attestd_clock_jump_total', { kind: 'wall-step' })).toBe(1)
    expect(sampleValue(families, 'attestd_build_info', { version: '1.2.3' })).toBe(1)
    expect(sampleValue(families, 'attestd_open_fds')).toBeGreaterThan(3)
    expect(sampleValue(families, 'attestd_event_loop_lag_seconds')).toBeGreaterThanOrEqual(0)
    await rig.stop()
  })

  it('say from the start that no expired token was served, and count when one was (BRK-167)', async () => {
    const { metrics, workloadEvents, value } = openRig()
    expect(await value('attestd_expired_served_total')).toBe(0)
    workloadEvents.emit({ event: 'expired_token_written', listener: 'api', route: '/v1/token' })
    metrics.expiredServed()
    expect(await value('attestd_expired_served_total')).toBe(2)
    metrics.journalFailed()
    expect(await value('attestd_journal_errors_total')).toBe(1)
  })

  it('follow a declared token: 0 while it is missing, its end, 0 after it', async () => {
    const { rig, value } = openRig({ warm })
    const labels = { issuer: 'bundled', aud: hash('https://warm.example') }
    const expiry = () => value('attestd_token_expiry_timestamp_seconds', labels)
    expect(await expiry()).toBe(0)
    rig.keepFresh()
    await rig.clock.advance(2_000)
    const obtained = Math.floor(rig.source.calls[0]?.wall ?? 0) / 1_000
    expect(await expiry()).toBe(Math.floor(obtained) + 900)
    expect(await value('attestd_token_last_success_timestamp_seconds', labels)).toBe(Math.floor(obtained))
    expect(await value('attestd_entry_state', { ...labels, state: 'fresh' })).toBe(1)
    rig.source.behaviour = { kind: 'fail', error: upstreamErrors.error('UPSTREAM_DOWN', 'no') }
    await rig.clock.advance(1_000_000)
    expect(await expiry()).toBe(0)
    expect(await value('attestd_entry_state', { ...labels, state: 'fresh' })).toBeUndefined()
    expect(await value('attestd_refresh_total', { issuer: 'bundled', result: 'landed', code: 'none' })).toBe(1)
    const failed = { issuer: 'bundled', result: 'failed', code: 'evidence_unavailable' }
    expect(await value('attestd_refresh_total', failed)).toBeGreaterThan(20)
    await rig.stop()
  })

  it('tell entries apart by issuer and audience only: a lifetime of its own makes no series', async () => {
    const { rig, read } = openRig()
    for (const ttlS of [null, 100, 200, 300]) await rig.ask({ ttlS })
    const samples = (await read()).get('attestd_entry_state')?.samples
    expect(samples).toEqual([
      { name: 'attestd_entry_state', labels: expect.objectContaining({ state: 'fresh' }), value: 4 },
    ])
  })

  it('count joins and late results', async () => {
    const { rig, value } = openRig()
    rig.source.behaviour = { kind: 'issue', afterMs: 1_000, stubborn: true }
    for (const asked of [await rig.ask(), await rig.ask()]) asked.leave()
    await rig.clock.advance(1_000)
    expect(await value('attestd_singleflight_joins_total')).toBe(1)
    expect(await value('attestd_late_results_dropped_total')).toBe(1)
  })
})

describe('a flood of names (hostile callers)', () => {
  it('makes no more series than there are names to give, at once and over time', async () => {
    const { rig, workloadEvents, read, metrics } = openRig({ warm })
    for (let n = 0; n < 1_000; n++) {
      await rig.ask({ audience: [`https://${n}.example`] }, { caller: `uid:${n % 40}` })
      workloadEvents.emit({ ...answered, method: `M${n}`, code: `code_${n}`, listener: `l${n}` })
    }
    const text = await metrics.text()
    const families = await read()
    const names = (family: string, label: string) =>
      new Set(families.get(family)?.samples.map(({ labels }) => labels[label]))
    expect(names('attestd_token_last_success_timestamp_seconds', 'aud').size).toBe(129)
    expect(names('attestd_entry_state', 'aud').size).toBeLessThanOrEqual(130)
    expect(names('attestd_entry_state', 'aud')).toContain('other')
    // The declared audience keeps its name, however late it comes.
    expect(names('attestd_entry_state', 'aud')).toContain(hash('https://warm.example'))
    expect(names('attestd_request', 'code').size).toBe(97)
    expect(names('attestd_request', 'method')).toEqual(new Set(['other']))
    expect(text.length).toBeLessThan(200_000)
    expect(text).not.toContain('.example')
  })

  it('is bounded label by label', () => {
    const label = new BoundedLabel(2)
    expect(['a', 'b', 'c', 'a', 'd', 'b'].map((one) => label.of(one))).toEqual(['a', 'b', 'other', 'a', 'other', 'b'])
    expect(new BoundedLabel(2).of('x'.repeat(65))).toBe('other')
    const audiences = new AudienceLabels(1)
    expect(audiences.of(['a'], false)).toBe(hash('a'))
    expect(audiences.of(['b'], false)).toBe('other')
    expect(audiences.of(['b'], true)).toBe(hash('b'))
    expect(audiences.of(['a', 'b'], true)).toBe(hash('["a","b"]'))
  })
})
