import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { someone } from '../../test/support/workload-room.ts'
import type { WorkloadEvent } from '../workload-api/workload-log.ts'
import { workloadNote } from './journal-entries.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

const served = {
  event: 'credentials_served',
  listener: 'tcp:aws_container',
  caller: someone,
  consumer: 'shop',
  issuer: 'local',
  audience: ['sts.example'],
  expiresAt: 1_800_000_000,
} satisfies WorkloadEvent

describe('the entry for credentials of a cloud role that a caller got (BRK-120)', () => {
  it('names the caller, the consumer and the token behind them, whose audience is hashed', () => {
    expect(workloadNote(served)).toMatchObject({
      event: 'serve',
      facts: {
        caller: { uid: 1001, unit: 'payments.service', identity: 'pidfd' },
        listener: 'tcp:aws_container',
        consumer: 'shop',
        issuer: 'local',
        aud_hash: sha256('sts.example'),
        exp: 1_800_000_000,
      },
    })
  })

  it.each([
    ['another caller', { caller: { ...someone, uid: 1002 } }],
    ['another consumer', { consumer: 'web' }],
    ['new credentials', { expiresAt: 1_800_000_001 }],
    ['another surface', { listener: 'tcp:alibaba_uri' }],
  ])('is another kind with %s: each is written once in full', (_, change) => {
    const [first, again, other] = [served, served, { ...served, ...change }].map((one) => workloadNote(one)?.kind)
    expect([first === again, first === other]).toEqual([true, false])
  })
})
