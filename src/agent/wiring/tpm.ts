import { join } from 'node:path'
import { createTpmAttester, type TpmAttester } from '../../attester/tpm/tpm-attester.ts'
import type { HashName } from '../../evidence/tpm/algorithms.ts'
import { ImaLogFile, readEventLog } from '../../platform/log-files.ts'
import { TpmConnection, type TpmConnectionState } from '../../platform/tpm-connection.ts'
import { planTpm } from '../../platform/tpm-plan.ts'
import { type Configuration, requireDuration } from '../configuration/schema.ts'
import type { Host } from './host.ts'
import { stateFile } from './state-files.ts'

/** The TPM of this machine: its attester, and what status and doctor say of the way to it. */
export interface TpmWiring extends AsyncDisposable {
  readonly attester: TpmAttester
  /** Where the TPM is reached, decided once: `libtss2-tctildr.so.0 (device:/dev/tpmrm0)`. */
  readonly place: string
  readonly simulated: boolean
  state(): TpmConnectionState | null
}

/** Opens nothing yet; throws `TPM_TCTI_CONFIG`, `TPM_SIMULATOR`, `TPM_TRANSPORT` for a way that cannot be. */
export function wireTpm(configuration: Configuration, host: Host): TpmWiring {
  const { tpm, agent } = configuration
  const { tcti, transport, simulator, allow_tcti: allowTcti } = tpm
  const plan = planTpm({ tcti, transport, simulator, allowTcti })
  const imaLog = new ImaLogFile({ path: tpm.ima_log })
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
    readEventLog: () => readEventLog(tpm.event_log),
    readImaLog: (from) => imaLog.readFrom(from),
  })
  return {
    attester,
    place: plan.place,
    simulated: plan.simulated,
    state: () => connection?.state() ?? null,
    [Symbol.asyncDispose]: async () => {
      await attester[Symbol.asyncDispose]()
      await imaLog.close()
    },
  }
}
