import { constants } from 'node:fs'
import { access, mkdir, readFile, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { attesterErrors } from '../../attester/errors.ts'
import { entryName } from '../../attester/tdx/entry-name.ts'
import { parseCcEventLog } from '../../evidence/tdx/cc-event-log.ts'
import { ccTypeTdx, parseCcelTable } from '../../evidence/tdx/ccel-table.ts'
import { readKernelFile } from '../../platform/boot-log-files.ts'
import { isListening } from '../../platform/in-use.ts'
import { seenProcesses } from '../../platform/process-marks.ts'
import { type TdxPaths, tdxPaths } from '../../platform/tdx-paths.ts'
import { readQuoteServicePort } from '../../platform/vsock.ts'
import type { Host } from '../wiring/host.ts'
import { attempted, type Item, ok, problem, warning } from './item.ts'
import type { KnownSettings } from './settings-items.ts'

const { F_OK, R_OK, W_OK } = constants
const { declared } = attesterErrors
const logLimit = 4 << 20

const may = (path: string, mode: number): Promise<boolean> =>
  access(path, mode).then(
    () => true,
    () => false,
  )

/** The name of an errno; bugs are thrown on. */
function errnoOf(error: unknown): string {
  const { code, syscall } = error as NodeJS.ErrnoException
  if (code === undefined || syscall === undefined) throw error
  return code
}

/** Only an entry tells the provider (TDX-002): one is made and removed, nothing is asked of the host. */
async function providerIn(folder: string, { random }: Pick<Host, 'random'>): Promise<string> {
  const entry = join(folder, entryName(seenProcesses().self(), random))
  await mkdir(entry)
  try {
    return (await readFile(join(entry, 'provider'), 'latin1')).trimEnd()
  } finally {
    await rmdir(entry)
  }
}

async function providerItem(folder: string, host: Pick<Host, 'random'>): Promise<Item> {
  const id = 'tdx.provider'
  try {
    const provider = await providerIn(folder, host)
    if (provider === 'tdx_guest') return ok(id, `the provider of reports is ${provider}`)
    return problem(id, `the provider of reports is ${provider.slice(0, 32)}`, declared.tsm_wrong_provider.remedy)
  } catch (error) {
    const errno = errnoOf(error)
    const code = errno === 'EACCES' || errno === 'EPERM' ? 'tsm_permission' : 'tsm_no_provider'
    return problem(id, `no report entry can be made (${errno})`, declared[code].remedy)
  }
}

async function reportItems(folder: string, host: Pick<Host, 'random'>): Promise<Item[]> {
  const id = 'tdx.reports'
  if (!(await may(folder, F_OK))) return [problem(id, `${folder} does not exist`, declared.tsm_absent.remedy)]
  if (!(await may(folder, W_OK))) {
    return [problem(id, `${folder} may not be written by this user`, declared.tsm_permission.remedy)]
  }
  return [ok(id, `${folder} may be written`), await providerItem(folder, host)]
}

async function bootLogItem({ tdx, verifier }: KnownSettings): Promise<Item> {
  const id = 'tdx.ccel'
  const worse = verifier.cc_event_log === 'required' ? problem : warning
  const { found, item } = await attempted(id, async () => {
    const [table, log] = await Promise.all([
      readKernelFile(tdx.ccel_table, 4096),
      readKernelFile(tdx.ccel_log, logLimit),
    ]).catch((error: unknown) => [errnoOf(error), null] as const)
    if (typeof table === 'string')
      return worse(id, `the boot log cannot be read (${table})`, declared.tdx_log_unreadable.remedy)
    if (table === null || log === null) {
      return worse(id, `there is no boot log at ${tdx.ccel_log}`, 'ask for firmware that keeps one; quotes need none')
    }
    const { ccType } = parseCcelTable(table)
    if (ccType !== ccTypeTdx) return worse(id, `the boot log is of type ${ccType}, not of TDX`, 'ask the provider')
    return ok(id, `the boot log has ${parseCcEventLog(log).events.length} events`)
  })
  return item ?? found
}

async function registerItem({ measurements }: TdxPaths): Promise<Item> {
  const id = 'tdx.registers'
  const file = join(measurements, 'rtmr3:sha384')
  const remedy = 'use Linux 6.16 or later to measure while the system runs; quotes need nothing of this'
  if (!(await may(file, F_OK))) return warning(id, `there are no measurement registers below ${measurements}`, remedy)
  if (!(await may(file, R_OK | W_OK))) {
    return warning(id, `${file} may not be written by this user`, declared.rtmr_permission.remedy)
  }
  return ok(id, `RTMR 2 and 3 may be extended`)
}

/** Ways that are tried behind configfs-tsm: it is no problem that there are none. */
async function otherWaysItem(paths: TdxPaths, { libc }: Pick<Host, 'libc'>): Promise<Item> {
  const id = 'tdx.other'
  const found = await readQuoteServicePort(paths.quoteServiceConfig).catch((error: unknown) => errnoOf(error))
  const port = typeof found === 'number' ? `port ${found}` : `no port in ${paths.quoteServiceConfig}`
  const device = (await may(paths.guestDevice, R_OK | W_OK)) ? 'may be opened' : 'is absent or may not be opened'
  const native = libc === null ? '; native code is missing, so neither is used' : ''
  return ok(id, `other ways to a quote: vsock ${port}; ${paths.guestDevice} ${device}${native}`)
}

async function simulatorItem(socket: string): Promise<Item> {
  const remedy = 'use a TDX guest; simulated ones are for trying things out'
  if (await isListening(socket)) return warning('tdx.way', `simulator at ${socket}; it protects nothing`, remedy)
  return problem('tdx.way', `no simulator listens at ${socket}`, `start the simulator, or ${remedy}`)
}

/** Where a TD shows: any of these. */
async function isTd({ tdx }: KnownSettings, { guestDevice, measurements }: TdxPaths): Promise<boolean> {
  const seen = await Promise.all([guestDevice, measurements, tdx.ccel_table].map((path) => may(path, F_OK)))
  return seen.includes(true)
}

/**
 * What TDX evidence of this machine depends on (TDX-001, 002, 016, 020, 030): one item a thing, each with what to do.
 * Asks the host for no quote.
 */
export async function* lookAtTd(
  known: KnownSettings,
  host: Pick<Host, 'libc' | 'random'>,
  paths: TdxPaths = tdxPaths,
): AsyncGenerator<Item> {
  const { tdx } = known
  if (tdx.use === 'off') return
  if (tdx.simulator_socket !== undefined) {
    yield await simulatorItem(tdx.simulator_socket)
    return
  }
  if (!(await isTd(known, paths))) {
    const says = 'this machine shows no sign of being a TDX guest'
    yield tdx.use === 'required' ? problem('tdx', says, 'set tdx.use, or start the agent in a TD') : ok('tdx', says)
    return
  }
  yield* await reportItems(tdx.report, host)
  yield await bootLogItem(known)
  yield await registerItem(paths)
  yield await otherWaysItem(paths, host)
}
