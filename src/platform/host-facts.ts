import { constants } from 'node:fs'
import { access, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openLibrary } from '../../native/ffi.ts'
import { tctildrSoname } from '../../native/tctildr.ts'
import { AttestdError } from '../base/errors.ts'

/** What of attestation hardware, or of its logs, this process can reach. */
export interface DeviceFact {
  readonly path: string
  /** What it is for, as a noun: "TPM with resource manager". */
  readonly what: string
  /** `absent`: there is none, or it cannot be seen; `refused`: it is there, and may not be opened as needed. */
  readonly access: 'usable' | 'refused' | 'absent'
}

/** A C library that one of the ways needs (NAT-108). */
export interface LibraryFact {
  readonly soname: string
  readonly what: string
  readonly found: boolean
  /** Why not; null where it was found. */
  readonly problem: string | null
}

export interface HostFacts {
  readonly kernel: string
  /** `Debian GNU/Linux 12`. */
  readonly distribution: string
  readonly architecture: string
  /** `KVM`; null on a machine that is not virtual, as far as can be told. */
  readonly hypervisor: string | null
  readonly devices: readonly DeviceFact[]
  readonly libraries: readonly LibraryFact[]
  /** Option with which `/proc` hides the processes of other users (API-56); null where it hides nothing. */
  readonly hidepid: string | null
}

/** The two questions asked of the package `systeminformation`. */
export interface SystemSurvey {
  osInfo(): Promise<{ kernel: string; distro: string; release: string; arch: string }>
  system(): Promise<{ virtual: boolean; virtualHost?: string }>
}

export interface HostFactsOptions {
  /** Loaded when needed unless given: it starts child processes. */
  readonly survey?: SystemSurvey
  /** Folder under which the paths are looked for; default `/`. */
  readonly root?: string
}

interface Wanted {
  readonly path: string
  readonly what: string
  readonly mode: number
}

const { F_OK, R_OK, W_OK } = constants

const wantedDevices: readonly Wanted[] = [
  { path: '/dev/tpmrm0', what: 'TPM with resource manager', mode: R_OK | W_OK },
  { path: '/dev/tpm0', what: 'TPM without resource manager', mode: F_OK },
  { path: '/sys/kernel/security/tpm0/binary_bios_measurements', what: 'event log of the firmware', mode: R_OK },
  { path: '/sys/kernel/security/ima/binary_runtime_measurements', what: 'measurement list of IMA', mode: R_OK },
  { path: '/sys/kernel/config/tsm/report', what: 'reports through configfs-tsm', mode: W_OK },
  { path: '/dev/tdx_guest', what: 'TDX guest device', mode: R_OK | W_OK },
  { path: '/sys/firmware/acpi/tables/data/CCEL', what: 'event log of the confidential guest', mode: R_OK },
  { path: '/dev/nvidiactl', what: 'NVIDIA driver', mode: R_OK | W_OK },
]

const wantedLibraries: readonly (readonly [soname: string, what: string])[] = [
  [tctildrSoname, 'TPM by TCTI strings'],
  ['libnvidia-ml.so.1', 'evidence of NVIDIA GPUs'],
]

async function deviceFact({ path, what, mode }: Wanted, root: string): Promise<DeviceFact> {
  const tried = (wanted: number) =>
    access(join(root, path), wanted).then(
      () => true,
      () => false,
    )
  if (!(await tried(F_OK))) return { path, what, access: 'absent' }
  return { path, what, access: (await tried(mode)) ? 'usable' : 'refused' }
}

/** GPUs are numbered from 0; their number is not known before. */
async function graphicsDevices(root: string): Promise<Wanted[]> {
  const names = await readdir(join(root, 'dev')).catch(() => [])
  return names
    .filter((name) => /^nvidia[0-9]{1,3}$/.test(name))
    .map((name) => ({ path: `/dev/${name}`, what: 'NVIDIA GPU', mode: R_OK | W_OK }))
    .sort((a, b) => a.path.localeCompare(b.path, 'en', { numeric: true }))
}

function libraryFact([soname, what]: readonly [string, string]): LibraryFact {
  try {
    openLibrary(soname)
    return { soname, what, found: true, problem: null }
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    return { soname, what, found: false, problem: error.message }
  }
}

/** The option with which `/proc` below `root` hides the processes of other users (API-56); null where it hides nothing. */
export async function hidepidOption(root: string): Promise<string | null> {
  const mounts = await readFile(join(root, 'proc/mounts'), 'utf8').catch(() => '')
  // Of several mounts on one place the last one is seen.
  const options = mounts
    .split('\n')
    .map((line) => line.split(' '))
    .findLast(([, path, type]) => path === '/proc' && type === 'proc')?.[3]
  const last = options?.split(',').findLast((option) => option.startsWith('hidepid='))
  return last === undefined || ['hidepid=0', 'hidepid=off'].includes(last) ? null : last
}

async function loadSurvey(): Promise<SystemSurvey> {
  return (await import('systeminformation')).default
}

/**
 * What this host can attest, as far as can be told by looking: opens no device and asks no TPM. For `doctor`; takes
 * some tenths of a second.
 */
export async function collectHostFacts(options: HostFactsOptions = {}): Promise<HostFacts> {
  const { root = '/', survey = await loadSurvey() } = options
  const [system, machine, graphics] = await Promise.all([survey.osInfo(), survey.system(), graphicsDevices(root)])
  const devices = await Promise.all([...wantedDevices, ...graphics].map((wanted) => deviceFact(wanted, root)))
  return {
    kernel: system.kernel,
    distribution: `${system.distro} ${system.release}`.trim(),
    architecture: system.arch,
    hypervisor: machine.virtual ? machine.virtualHost || 'unknown' : null,
    devices,
    libraries: wantedLibraries.map(libraryFact),
    hidepid: await hidepidOption(root),
  }
}
