import { existsSync } from 'node:fs'
import type { Configuration } from '../configuration/schema.ts'

/** Which devices are part of the evidence, decided once, at the start. */
export interface GuestPlan {
  readonly tpm: boolean
  readonly td: boolean
}

const tdDevice = '/dev/tdx_guest'

/** The part of the configuration that decides. */
export type DeviceSettings = Pick<Configuration, 'tpm' | 'tdx'>

/** A TCTI other than the device names its TPM explicitly. */
function hasTpm({ tpm }: DeviceSettings, exists: (path: string) => boolean): boolean {
  const [name = '', path = '/dev/tpmrm0'] = tpm.tcti.split(':', 2)
  return name === 'device' ? exists(path) : true
}

/**
 * `auto` takes what is there. A guest with neither device waits for its TPM: an agent without any device has no evidence,
 * and that is to be said until somebody mends it, not to be passed over (BRK-141).
 */
export function planGuest(configuration: DeviceSettings, exists: (path: string) => boolean = existsSync): GuestPlan {
  const { tpm, tdx } = configuration
  const isTd = tdx.simulator_socket !== undefined || exists(tdDevice)
  const td = tdx.use === 'required' || (tdx.use === 'auto' && isTd)
  const isAlone = !td && tpm.use === 'auto'
  return { td, tpm: tpm.use === 'required' || isAlone || (tpm.use === 'auto' && hasTpm(configuration, exists)) }
}
