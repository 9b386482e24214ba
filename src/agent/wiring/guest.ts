import type { Logger } from 'pino'
import type { Task } from '../../base/tasks.ts'
import { type CollateralWiring, wireCollateral } from './collateral.ts'
import { planGuest } from './guest-plan.ts'
import type { Host } from './host.ts'
import type { Settings } from './settings.ts'
import { type TdWiring, wireTd } from './td.ts'
import { type TpmWiring, wireTpm } from './tpm.ts'

/** The devices of this guest, and what its verifier needs to know of their makers. */
export interface GuestWiring extends AsyncDisposable {
  readonly tpm: TpmWiring | null
  readonly td: TdWiring | null
  readonly collateral: CollateralWiring | null
  /** Where the devices are reached, for logs: `device:/dev/tpmrm0, /sys/kernel/config/tsm/report`. */
  readonly place: string
  readonly simulated: boolean
  /** Why no evidence can be had now; empty: it can, as far as is known. */
  failing(): readonly string[]
  /** What is asked of the guest's makers from now on. */
  adopt(settings: Settings): void
  readonly tasks: readonly Task[]
}

function reportTpm({ place }: TpmWiring, log: Logger): (failure: string | null) => void {
  return (failure) => {
    if (failure === null) log.info({ event: 'tpm_answers', tpm: place }, 'the TPM answers')
    else log.warn({ event: 'tpm_failed', tpm: place, code: failure }, 'the TPM does not answer')
  }
}

/** Opens no device yet. Throws for ways that cannot be, and where the state directory cannot be used. */
export async function wireGuest(settings: Settings, host: Host, log: Logger): Promise<GuestWiring> {
  const { configuration } = settings
  const plan = planGuest(configuration)
  const warn = (code: string, message: string) => log.warn({ code }, message)
  const tpm = plan.tpm ? wireTpm(configuration, host, warn) : null
  const td = plan.td ? await wireTd(configuration, host, warn) : null
  const collateral = td === null ? null : await wireCollateral(settings, host, log)
  return {
    tpm,
    td,
    collateral,
    place: [tpm, td].flatMap((device) => (device === null ? [] : [device.place])).join(', '),
    simulated: tpm?.simulated === true || td?.simulated === true,
    failing: () => {
      const failed = tpm?.state()?.lastError
      return [...(failed ? [`tpm:${failed}`] : []), ...(td?.state().stuck ? ['tdx:quote_stuck'] : [])]
    },
    adopt: (changed) => collateral?.adopt(changed),
    tasks: [
      ...(tpm === null ? [] : [tpm.keepTried(reportTpm(tpm, log))]),
      ...(collateral === null ? [] : [collateral.keepCurrent]),
    ],
    [Symbol.asyncDispose]: async () => {
      await collateral?.[Symbol.asyncDispose]()
      await td?.[Symbol.asyncDispose]()
      await tpm?.[Symbol.asyncDispose]()
    },
  }
}
