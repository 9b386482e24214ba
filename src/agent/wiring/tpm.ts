import { join } from 'node:path'
import { createTpmAttester, type TpmAttester } from '../../attester/tpm/tpm-attester.ts'
import { AttestdError } from '../../base/errors.ts'
import type { Task } from '../../base/tasks.ts'
import type { HashName } from '../../evidence/tpm/algorithms.ts'
import { ImaLogFile } from '../../platform/ima-log-file.ts'
import { readKernelCommandLine } from '../../platform/kernel-command-line.ts'
import { readEventLog } from '../../platform/log-files.ts'
import { runtimeLogFile } from '../../platform/runtime-log-file.ts'
import { TpmConnection, type TpmConnectionState } from '../../platform/tpm-connection.ts'
import { planTpm } from '../../platform/tpm-plan.ts'
import { type Configuration, requireDuration } from '../configuration/schema.ts'
import { faultyTpmPlan } from '../scripted-faults.ts'
import type { Host } from './host.ts'
import { type LogWarning, optionalLog } from './optional-log.ts'
import { stateFile } from './state-files.ts'

/** The TPM of this machine: its attester, and what status and doctor say of the way to it. */
export interface TpmWiring extends AsyncDisposable {
  readonly attester: TpmAttester
  /** Where the TPM is reached, decided once: `libtss2-tctildr.so.0 (device:/dev/tpmrm0)`. */
  readonly place: string
  readonly simulated: boolean
  state(): TpmConnectionState | null
  /**
   * Tries the TPM at the start, and again and again after it failed: readiness follows it without a caller (BRK-141).
   * `report` hears of every change: the code of the failure, or null when the TPM answers.
   */
  keepTried(report: (failure: string | null) => void): Task
}

/** How often a TPM that failed is tried; the connection itself says how soon it is opened again (NAT-27). */
const tryEveryMs = 1_000

interface Trial {
  readonly attester: TpmAttester
  readonly failure: () => string | null
  readonly report: (failure: string | null) => void
}

async function keepTrying({ attester, failure, report }: Trial, { clock }: Host, signal: AbortSignal): Promise<void> {
  let known: string | null | undefined
  while (!signal.aborted) {
    if (known === undefined || failure() !== null) {
      await attester.probe(signal).catch((error: unknown) => {
        if (!signal.aborted && !(error instanceof AttestdError)) throw error
      })
    }
    if (signal.aborted) return
    if (failure() !== known) report(failure())
    known = failure()
    await clock.sleep(tryEveryMs, signal).catch((reason: unknown) => {
      if (!signal.aborted) throw reason
    })
  }
}

/** Opens nothing yet; throws `TPM_TCTI_CONFIG`, `TPM_SIMULATOR`, `TPM_TRANSPORT` for a way that cannot be. */
export function wireTpm(
  configuration: Configuration,
  host: Host,
  warn: LogWarning = () => {},
  quoted: (ms: number) => void = () => {},
): TpmWiring {
  const { tpm, agent, verifier } = configuration
  const { tcti, transport, simulator, allow_tcti: allowTcti } = tpm
  const planned = planTpm({ tcti, transport, simulator, allowTcti })
  const plan = host.testMode === null ? planned : faultyTpmPlan(planned, host.testMode.faults)
  const imaLog = new ImaLogFile({ path: tpm.ima_log })
  const readIma = optionalLog(verifier.ima, (from: number, most?: number) => imaLog.readFrom(from, most), warn)
  let connection: TpmConnection | null = null
  const connect = async () => {
    connection = new TpmConnection({
      plan,
      clock: host.clock,
      random: host.random,
      timeoutMs: requireDuration(tpm.timeout),
    })
    return connection
  }
  const attester = createTpmAttester({
    connect,
    keyStore: stateFile(join(agent.state_directory, 'ak'), host),
    clock: host.clock,
    random: host.random,
    scheme: tpm.key,
    banks: tpm.banks as readonly HashName[],
    pcrs: tpm.pcrs,
    readEventLog: optionalLog(verifier.event_log, () => readEventLog(tpm.event_log), warn),
    // That of a machine whose TPM is played has nothing to do with the boot that is played.
    ...(plan.simulated ? {} : { readKernelCmdline: () => readKernelCommandLine() }),
    readImaLog: readIma,
    runtimeLog: runtimeLogFile(tpm.runtime_log, host.random),
    quoted,
  })
  const state = () => connection?.state() ?? null
  const failure = () => state()?.lastError ?? null
  return {
    attester,
    place: plan.place,
    simulated: plan.simulated,
    state,
    keepTried: (report) => (signal) => keepTrying({ attester, failure, report }, host, signal),
    [Symbol.asyncDispose]: async () => {
      await attester[Symbol.asyncDispose]()
      await imaLog.close()
    },
  }
}
