import { AttestdError } from '../base/errors.ts'
import type { Measured, MeasureRequest, Measurer, MeasureShare } from '../workload-api/measurer.ts'
import { agentErrors } from './errors.ts'
import type { GuestWiring } from './wiring/guest.ts'
import type { Settings } from './wiring/settings.ts'

/** A register that was extended; `certain` false: it may have been. */
export interface MeasurementEvent {
  readonly register: string
  readonly certain: boolean
}

export interface MeasuringParts {
  readonly guest: Pick<GuestWiring, 'td' | 'tpm'>
  readonly settings: () => Settings
  /** Called before the caller has its answer, so that no token of before is served as one of after. */
  readonly measured: (event: MeasurementEvent) => void
}

/** After these the register is as it was; after any other error it may have been extended. */
const nothingMeasured = new Set([
  'MALFORMED',
  'pcr_unsupported',
  'quote_busy',
  'quote_stuck',
  'rtmr_log_full',
  'rtmr_log_share',
  'rtmr_not_extended',
  'rtmr_permission',
  'rtmr_unsupported',
  'tdx_log_unreadable',
])

const unsupported = (says: string) => agentErrors.error('REGISTER_UNSUPPORTED', says)

/** A measurement, and how much of the log its domain may take. */
export type SharedRequest = MeasureRequest & { readonly share: MeasureShare }

type Devices = Pick<MeasuringParts, 'guest' | 'settings'>

async function extendRtmr({ td }: MeasuringParts['guest'], { register, ...event }: SharedRequest): Promise<Measured> {
  if (td === null) throw unsupported('this guest is no TD')
  const extension = await td.attester.extend({ ...event, register: register === 'rtmr2' ? 2 : 3 })
  return { register, digest: extension.digest, logIndex: extension.logIndex }
}

async function extendPcr(
  { guest: { tpm }, settings }: Devices,
  { register, ...event }: SharedRequest,
): Promise<Measured> {
  if (tpm === null) throw unsupported('this guest has no TPM')
  const { digests, logIndex } = await tpm.attester.extend({ ...event, pcr: Number(register.slice(3)) })
  const [bank] = settings().configuration.tpm.banks
  const digest = bank === undefined ? undefined : digests.get(bank)
  if (digest === undefined) throw new TypeError('the first bank that is quoted was not extended')
  return { register, digest, logIndex }
}

/**
 * Extends a register of whichever device has it, in turns with quotes (BRK-84), and appends the record to its log. Throws
 * `REGISTER_UNSUPPORTED` where this guest has no such device, and what its attester throws.
 */
export function extendRegister(devices: Devices, request: SharedRequest): Promise<Measured> {
  return request.register.startsWith('pcr') ? extendPcr(devices, request) : extendRtmr(devices.guest, request)
}

/**
 * Extends registers for callers, in turns with quotes (BRK-84). The signal of the caller is not passed on: what waits for
 * its turn is made also for one that has gone, so that what became of it is always known here.
 */
export function createMeasurer(parts: MeasuringParts): Measurer {
  const { settings, measured } = parts
  return async (request, signal, share) => {
    signal.throwIfAborted()
    const { register } = request
    const allowed: readonly string[] = settings().configuration.measure.registers
    if (!allowed.includes(register)) throw unsupported(`measure.registers does not name ${register}`)
    try {
      const extension = await extendRegister(parts, { ...request, share })
      measured({ register, certain: true })
      return extension
    } catch (error) {
      if (!(error instanceof AttestdError && nothingMeasured.has(error.code))) measured({ register, certain: false })
      throw error
    }
  }
}
