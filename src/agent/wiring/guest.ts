import type { Logger } from 'pino'
import type { Task } from '../../base/tasks.ts'
import { hearingReturns } from '../guest-changes.ts'
import { Observers } from '../observers.ts'
import { type CollateralWiring, wireCollateral } from './collateral.ts'
import { planGuest } from './guest-plan.ts'
import type { Host } from './host.ts'
import type { Settings } from './settings.ts'
import { type TdWiring, wireTd } from './td.ts'
import { type TpmWiring, wireTpm } from './tpm.ts'
import { WatchedTd } from './watched-td.ts'

/** The devices of this guest, and what its verifier needs to know of their makers. */
export interface GuestWiring extends AsyncDisposable {
  readonly tpm: TpmWiring | null
  readonly td: TdWiring | null
  /** The TD as sources ask it; null without one. */
  readonly watchedTd: WatchedTd | null
  readonly collateral: CollateralWiring | null
  /** Where the devices are reached, for logs: `device:/dev/tpmrm0, /sys/kernel/config/tsm/report`. */
  readonly place: string
  readonly simulated: boolean
  /** Why no evidence can be had now; empty: it can, as far as is known. */
  failing(): readonly string[]
  /** What is asked of the guest's makers from now on. */
  adopt(settings: Settings): void
  readonly tasks: readonly Task[]
  /** Every quote that came or failed. */
  readonly quotes: Observers<DeviceQuote>
  /** What makes tokens old though nobody measured anything. */
  readonly changes: Observers<GuestChange>
}

/** Of the collateral: its makers say something new of the platform. Of a device: it answers again after it had failed. */
export type GuestChange = 'collateral' | 'device'

export interface DeviceQuote {
  readonly device: 'tdx' | 'tpm'
  /** On the device, without waiting for it. */
  readonly ms: number
}

function reportTpm({ place }: TpmWiring, log: Logger): (failure: string | null) => void {
  return (failure) => {
    if (failure === null) log.info({ event: 'tpm_answers', tpm: place }, 'the TPM answers')
    else log.warn({ event: 'tpm_failed', tpm: place, code: failure }, 'the TPM does not answer')
  }
}

function reportTd({ place }: TdWiring, log: Logger): (failure: string | null) => void {
  return (failure) => {
    if (failure === null) log.info({ event: 'td_answers', td: place }, 'the TD gives quotes again')
    else log.warn({ event: 'td_failed', td: place, code: failure }, 'the TD gives no quotes')
  }
}

/** Opens no device yet. Throws for ways that cannot be, and where the state directory cannot be used. */
export async function wireGuest(settings: Settings, host: Host, log: Logger): Promise<GuestWiring> {
  const { configuration } = settings
  const plan = planGuest(configuration)
  const warn = (code: string, message: string) => log.warn({ code }, message)
  const quotes = new Observers<DeviceQuote>()
  const changes = new Observers<GuestChange>()
  const back = () => changes.emit('device')
  const quotedBy = (device: DeviceQuote['device']) => (ms: number) => quotes.emit({ device, ms })
  const tpm = plan.tpm ? wireTpm(configuration, host, warn, quotedBy('tpm')) : null
  const td = plan.td ? await wireTd(configuration, host, warn, quotedBy('tdx')) : null
  const watchedTd = td === null ? null : new WatchedTd(td.attester, host)
  const collateral =
    td === null
      ? null
      : await wireCollateral(settings, settings.configuration.agent.state_directory, {
          host,
          log,
          raised: () => changes.emit('collateral'),
        })
  return {
    tpm,
    td,
    watchedTd,
    collateral,
    quotes,
    changes,
    place: [tpm, td].flatMap((device) => (device === null ? [] : [device.place])).join(', '),
    simulated: tpm?.simulated === true || td?.simulated === true,
    failing: () => {
      const failed = tpm?.state()?.lastError
      const quotes = td?.state().stuck ? 'quote_stuck' : watchedTd?.lastError
      return [...(failed ? [`tpm:${failed}`] : []), ...(quotes ? [`tdx:${quotes}`] : [])]
    },
    adopt: (changed) => collateral?.adopt(changed),
    tasks: [
      ...(tpm === null ? [] : [tpm.keepTried(hearingReturns(reportTpm(tpm, log), back))]),
      ...(td === null || watchedTd === null ? [] : [watchedTd.keepTried(hearingReturns(reportTd(td, log), back))]),
      ...(collateral === null ? [] : [collateral.keepCurrent]),
    ],
    [Symbol.asyncDispose]: async () => {
      await collateral?.[Symbol.asyncDispose]()
      await td?.[Symbol.asyncDispose]()
      await tpm?.[Symbol.asyncDispose]()
    },
  }
}
