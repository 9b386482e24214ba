import { loadTctildr, type Tctildr, tctildrSoname } from '../../native/tctildr.ts'
import { AttestdError } from '../base/errors.ts'
import { platformErrors } from './errors.ts'
import type { OpenTpmChannel } from './tpm-channel.ts'
import { openDeviceChannel } from './tpm-device.ts'
import { describePlace, openSwtpmChannel, type SwtpmPlace } from './tpm-socket.ts'
import { openTctiChannel } from './tpm-tcti.ts'

export type TpmTransportKind = 'tcti' | 'device' | 'swtpm'

/** The section `[tpm]` of the configuration, as far as the way to the TPM goes. */
export interface TpmSettings {
  /** `device:/dev/tpmrm0`, `swtpm:path=P`: a TCTI configuration string. */
  readonly tcti: string
  readonly transport: 'auto' | TpmTransportKind
  /** Allows test TPMs; whatever comes from one is then marked. */
  readonly simulator: boolean
  /** TCTI names beside `device swtpm mssim tabrmd`. */
  readonly allowTcti: readonly string[]
}

/** How the TPM will be reached: decided once, before anything is opened (NAT-20). */
export interface TpmPlan {
  readonly kind: TpmTransportKind
  readonly simulated: boolean
  /** For status and doctor: `/dev/tpmrm0`, `libtss2-tctildr.so.0 (device:/dev/tpmrm0)`. */
  readonly place: string
  readonly open: OpenTpmChannel
}

interface Tcti {
  readonly name: string
  readonly rest: string
}

/**
 * NAT-21: an empty string lets the loader try simulators on local TCP ports, which any process can offer; a name
 * is also tried as a file name of a library; `cmd` starts a shell, `pcap` copies all traffic into a file.
 */
const allowedNames = ['device', 'swtpm', 'mssim', 'tabrmd']
const testTpms = ['swtpm', 'mssim']

function parseTcti({ tcti, allowTcti }: TpmSettings): Tcti {
  const colon = tcti.indexOf(':')
  const name = colon < 0 ? tcti : tcti.slice(0, colon)
  const refuse = (problem: string) =>
    platformErrors.error('TPM_TCTI_CONFIG', `tpm.tcti: ${problem}`, { facts: { tcti } })
  if (tcti.includes('\0')) throw refuse('contains a NUL character')
  if (name === '') throw refuse('is empty or begins with a colon')
  if (!/^[a-z0-9_-]+$/.test(name)) throw refuse(`'${name}' is not the name of a TCTI`)
  if (![...allowedNames, ...allowTcti].includes(name)) throw refuse(`the name '${name}' is not allowed`)
  return { name, rest: colon < 0 ? '' : tcti.slice(colon + 1) }
}

function requireAllowedSimulator({ name }: Tcti, { simulator, tcti }: TpmSettings): boolean {
  if (!testTpms.includes(name)) return false
  if (!simulator)
    throw platformErrors.error('TPM_SIMULATOR', `${tcti} is a simulated TPM, and tpm.simulator is not set`)
  return true
}

/** Settings of the form `key=value,key=value`. */
function parseSwtpmPlace(rest: string): SwtpmPlace {
  const refuse = (problem: string) => platformErrors.error('TPM_TCTI_CONFIG', `tpm.tcti: swtpm: ${problem}`)
  const values = new Map(
    rest.split(',').map((pair) => [pair.split('=', 1)[0] ?? '', pair.slice(pair.indexOf('=') + 1)]),
  )
  const known = [...values.keys()].every((key) => ['path', 'host', 'port'].includes(key))
  const path = values.get('path')
  const port = Number(values.get('port'))
  if (!known || values.size !== rest.split(',').length) throw refuse('takes path=P, or host=H,port=P')
  if (path !== undefined && values.size === 1 && path !== '') return { path }
  if (path !== undefined) throw refuse('takes path=P alone')
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw refuse('the port is not 1 to 65535')
  return { host: values.get('host') ?? '127.0.0.1', port }
}

/** The transports that need no native code; undefined for a TCTI that only the library knows. */
function planDirect({ name, rest }: Tcti): Pick<TpmPlan, 'kind' | 'place' | 'open'> | undefined {
  if (name === 'device') {
    const path = rest === '' ? '/dev/tpmrm0' : rest
    return { kind: 'device', place: path, open: () => openDeviceChannel(path) }
  }
  if (name !== 'swtpm') return undefined
  const place = parseSwtpmPlace(rest)
  return { kind: 'swtpm', place: describePlace(place), open: (signal) => openSwtpmChannel(place, signal) }
}

type Load = () => Tctildr

/** The library, or why it cannot be had. Bugs pass through. */
function attemptLoad(load: Load): Tctildr | AttestdError {
  try {
    return load()
  } catch (error) {
    if (error instanceof AttestdError) return error
    throw error
  }
}

function planTcti(tcti: Tcti, library: Tctildr): Pick<TpmPlan, 'kind' | 'place' | 'open'> {
  const configuration = tcti.name === 'device' && tcti.rest === '' ? 'device:/dev/tpmrm0' : `${tcti.name}:${tcti.rest}`
  const place = `${tctildrSoname} (${configuration})`
  return { kind: 'tcti', place, open: () => openTctiChannel(library, configuration) }
}

function choose(
  tcti: Tcti,
  { transport, tcti: text }: TpmSettings,
  load: Load,
): Pick<TpmPlan, 'kind' | 'place' | 'open'> {
  const direct = planDirect(tcti)
  if (transport === 'device' || transport === 'swtpm') {
    if (direct?.kind === transport) return direct
    throw platformErrors.error('TPM_TRANSPORT', `tpm.transport = ${transport} cannot serve ${text}`)
  }
  const library = attemptLoad(load)
  if (!(library instanceof AttestdError)) return planTcti(tcti, library)
  if (transport === 'tcti') {
    throw platformErrors.error('TPM_TRANSPORT', `tpm.transport = tcti: ${library.message}`, { cause: library })
  }
  if (direct) return direct
  throw platformErrors.error('TPM_TCTI_UNAVAILABLE', `${text}: ${library.message}`, { cause: library })
}

/**
 * Decides by the settings, and by whether libtss2-tctildr loads, how the TPM is reached (NAT-20 to NAT-22).
 * Opens nothing. Throws `TPM_TCTI_CONFIG`, `TPM_SIMULATOR`, `TPM_TRANSPORT` or `TPM_TCTI_UNAVAILABLE`.
 */
export function planTpm(settings: TpmSettings, load: Load = () => loadTctildr()): TpmPlan {
  const tcti = parseTcti(settings)
  const simulated = requireAllowedSimulator(tcti, settings)
  return { ...choose(tcti, settings, load), simulated }
}
