import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { openServiceMetrics } from './service-metrics.ts'

const ended = {
  route: '/v1/attestation',
  status: 200,
  code: null,
  causeCode: null,
  policyIds: 1,
  ignoredMembers: 0,
  durationMs: 3,
}

function room(jobs = 0) {
  const metrics = openServiceMetrics({
    clock: new FakeClock(),
    version: '1.2.3',
    jobs: () => jobs,
    storeFails: () => jobs > 0,
  })
  const lines = async () => (await metrics.text()).split('\n')
  return { metrics, lines }
}

describe('metrics of a verifier service', () => {
  it('count answers by path and by the code of the problem, or the status', async () => {
    const { metrics, lines } = room()
    metrics.requested(ended)
    metrics.requested(ended)
    metrics.requested({ ...ended, status: 403, code: 'AS.POLICY.DENIED' })
    metrics.requested({ ...ended, route: null, status: 404, code: 'AS.REQUEST.NOT_FOUND' })
    expect(await lines()).toEqual(
      expect.arrayContaining([
        'attestd_verifier_request_total{route="/v1/attestation",code="200"} 2',
        'attestd_verifier_request_total{route="/v1/attestation",code="AS.POLICY.DENIED"} 1',
        'attestd_verifier_request_total{route="none",code="AS.REQUEST.NOT_FOUND"} 1',
        'attestd_verifier_request_duration_seconds_bucket{le="0.002",route="/v1/attestation"} 0',
        'attestd_verifier_request_duration_seconds_bucket{le="0.005",route="/v1/attestation"} 3',
        'attestd_build_info{version="1.2.3"} 1',
      ]),
    )
  })

  it('tell how many jobs there are, and what of requests was ignored (SVC-10)', async () => {
    const { metrics, lines } = room(7)
    metrics.requested({ ...ended, ignoredMembers: 3 })
    expect(await lines()).toEqual(
      expect.arrayContaining([
        'attestd_verifier_jobs 7',
        'attestd_verifier_store_failing 1',
        'attestd_verifier_ignored_member_total 3',
      ]),
    )
  })
})
