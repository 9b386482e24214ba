import { existsSync } from 'node:fs'
import type { BootLogFiles, RuntimeLogFiles } from '../../attester/tdx/event-log-sources.ts'
import type { MeasurementRegisters } from '../../attester/tdx/measurement-registers.ts'
import { createTdvmcallQuotePath, createVsockQuotePath } from '../../attester/tdx/qgs-quote.ts'
import type { QuotePath } from '../../attester/tdx/quote-path.ts'
import {
  createTdxAttester,
  type LogComparison,
  type TdxAttester,
  type TdxAttesterState,
} from '../../attester/tdx/tdx-attester.ts'
import type { TsmFiles } from '../../attester/tdx/tsm-files.ts'
import { createTsmQuotePath, type TsmQuotePath } from '../../attester/tdx/tsm-quote.ts'
import { parseCcEventLog } from '../../evidence/tdx/cc-event-log.ts'
import { bootLogFiles } from '../../platform/boot-log-files.ts'
import { FileThread } from '../../platform/file-thread.ts'
import { seenProcesses } from '../../platform/process-marks.ts'
import { runtimeLogFile } from '../../platform/runtime-log-file.ts'
import { TdxGuest } from '../../platform/tdx-guest.ts'
import { tdxPaths } from '../../platform/tdx-paths.ts'
import { findRegisters } from '../../platform/tdx-registers.ts'
import { tsmFilesIn } from '../../platform/tsm-files.ts'
import { TsmSimulator } from '../../platform/tsm-simulator.ts'
import { readQuoteServicePort, vsockQuoteService } from '../../platform/vsock.ts'
import { matchRtmrs, replayCcEventLog } from '../../verifier/tdx/replay-cc-event-log.ts'
import { type Configuration, requireDuration } from '../configuration/schema.ts'
import { agentErrors } from '../errors.ts'
import { faultyRegisters, faultyTsmFiles } from '../scripted-faults.ts'
import type { TestMode } from '../test-mode.ts'
import type { Host } from './host.ts'
import type { LogWarning } from './optional-log.ts'

/** The TD that this guest is: its attester, and what status and doctor say of the way to it. */
export interface TdWiring extends AsyncDisposable {
  readonly attester: TdxAttester
  readonly place: string
  readonly simulated: boolean
  state(): TdxAttesterState
}

/** What an attester is made of: of the kernel, or of a simulator. */
interface TdParts extends AsyncDisposable {
  readonly place: string
  readonly simulated: boolean
  readonly files: TsmFiles
  readonly otherPaths: readonly QuotePath[]
  readonly registers: MeasurementRegisters | null
  readonly bootLog: BootLogFiles
  readonly runtimeLog: RuntimeLogFiles
}

function compareLog(eventLog: Uint8Array, rtmrs: readonly Uint8Array[]): LogComparison {
  const [rtmr0, rtmr1, rtmr2, rtmr3] = rtmrs
  if (!rtmr0 || !rtmr1 || !rtmr2 || !rtmr3) throw new TypeError('a TD has four runtime registers')
  const matches = matchRtmrs(replayCcEventLog(parseCcEventLog(eventLog)), [rtmr0, rtmr1, rtmr2, rtmr3])
  return { differing: matches.filter(({ outcome }) => outcome !== 'matched').map(({ rtmr }) => rtmr) }
}

/** A simulator is chosen explicitly, and allowed explicitly; nothing falls back to it. */
function simulatorParts(socket: string, testMode: TestMode | null): TdParts {
  const simulator = new TsmSimulator(socket)
  const { bootLog, runtimeLog } = simulator
  const files = testMode === null ? simulator.files : faultyTsmFiles(simulator.files, testMode.faults)
  const registers = testMode === null ? simulator.registers : faultyRegisters(simulator.registers, testMode.faults)
  const place = `simulator at ${socket}`
  const close = () => simulator.close()
  const parts = { place, simulated: true, files, otherPaths: [], registers, bootLog, runtimeLog }
  return { ...parts, [Symbol.asyncDispose]: close }
}

/** A file that the system does not give us names no port, and is no reason not to start. */
export async function quoteServicePort(path: string, tell: (message: string) => void): Promise<number | null> {
  try {
    return await readQuoteServicePort(path)
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException
    if (code === undefined || syscall === undefined) throw error
    tell(`${path}: ${syscall} failed with ${code}; no quote is asked for by vsock`)
    return null
  }
}

/** Ways that need native code, or a service that the host offers: where they are missing they are not there (TDX 1.2). */
async function otherPathsOf(
  { libc, clock }: Host,
  device: TdxGuest | null,
  tell: (message: string) => void,
): Promise<readonly QuotePath[]> {
  const port = await quoteServicePort(tdxPaths.quoteServiceConfig, tell)
  const service = libc === null || port === null ? null : vsockQuoteService({ libc, port, clock })
  return [createVsockQuotePath(device, service), createTdvmcallQuotePath(device)]
}

async function kernelParts({ tdx }: Configuration, host: Host, tell: (message: string) => void): Promise<TdParts> {
  const { libc, random } = host
  const { guestDevice } = tdxPaths
  const device = libc !== null && existsSync(guestDevice) ? new TdxGuest({ path: guestDevice, libc }) : null
  const thread = new FileThread()
  return {
    place: tdx.report,
    simulated: false,
    files: tsmFilesIn(tdx.report, thread),
    otherPaths: await otherPathsOf(host, device, tell),
    registers: await findRegisters(tdxPaths, device),
    bootLog: bootLogFiles({ ccelTable: tdx.ccel_table, ccelLog: tdx.ccel_log }),
    runtimeLog: runtimeLogFile(tdx.runtime_log, random),
    [Symbol.asyncDispose]: () => thread[Symbol.asyncDispose](),
  }
}

function partsOf(
  configuration: Configuration,
  host: Host,
  tell: (message: string) => void,
): Promise<TdParts> | TdParts {
  const { simulator, simulator_socket: socket } = configuration.tdx
  if (socket === undefined) return kernelParts(configuration, host, tell)
  if (simulator) return simulatorParts(socket, host.testMode)
  throw agentErrors.error('CONFIGURATION_INVALID', 'tdx.simulator_socket needs tdx.simulator = true')
}

/** A device that hangs must not keep the agent from starting, and from saying so. */
const longestCleaningMs = 2_000

/** Entries of agents that were killed; what the system refuses is told when a quote is asked for. */
async function removeStale(path: TsmQuotePath, { clock }: Host, tell: (message: string) => void): Promise<void> {
  const ended = new AbortController()
  const late = clock.sleep(longestCleaningMs, ended.signal).then(
    () => tell('the report folder does not answer; entries of agents that were killed may still be in it'),
    () => undefined,
  )
  await Promise.race([path.removeStale(), late])
  ended.abort()
}

/** Makes the attester of this TD; nothing is quoted yet. Throws `CONFIGURATION_INVALID` for a simulator that is not allowed. */
export async function wireTd(
  configuration: Configuration,
  host: Host,
  warn: LogWarning = () => {},
  quoted: (ms: number) => void = () => {},
): Promise<TdWiring> {
  const tell = (message: string) => warn('tdx_attester', message)
  const parts = await partsOf(configuration, host, tell)
  const { files, otherPaths, registers, bootLog, runtimeLog, simulated, place } = parts
  const { clock, random } = host
  const tsm = createTsmQuotePath({ files, processes: seenProcesses(), clock, random, warn: tell })
  await removeStale(tsm, host, tell)
  const attester = createTdxAttester({
    ...{
      paths: [tsm, ...otherPaths],
      registers,
      bootLog,
      runtimeLog,
      compareLog,
      clock,
      simulated,
      warn: tell,
      quoted,
    },
    deadlineMs: requireDuration(configuration.tdx.timeout),
  })
  return {
    attester,
    place,
    simulated,
    state: () => attester.state(),
    [Symbol.asyncDispose]: () => parts[Symbol.asyncDispose](),
  }
}
