import { readImaCount } from '../../platform/ima-count.ts'
import type { AgentCore, AgentService } from '../core.ts'
import { noteGuestChanges } from '../guest-changes.ts'
import { watchIma } from '../ima-watch.ts'
import { SoftEvents } from '../soft-events.ts'
import { localIssuer } from './plain-request.ts'
import type { Settings } from './settings.ts'

/** Whether what the IMA log says decides about tokens of the bundled verifier. */
function usesIma({ configuration, references }: Settings): boolean {
  return configuration.verifier.ima === 'required' || references !== null
}

/** What happens to this guest makes its tokens old (broker.md section 8). */
export function wireDeviceEvents(core: AgentCore): AgentService {
  const { broker, measurements, settings, host, guest, loaded } = core
  const soft = new SoftEvents(broker, host.clock)
  measurements.add(() => {
    if (settings().configuration.broker.on_measure === 'soft') soft.note(null)
    // Before the caller has its answer: no token of before is served as one of after.
    else broker.invalidate({ all: true, hard: true })
  })
  guest.changes.add(noteGuestChanges(soft, host.clock))
  const { ima_log: imaLog } = loaded.configuration.tpm
  const grew = () => {
    if (usesIma(settings())) soft.note(localIssuer)
  }
  const watching = { clock: host.clock, count: () => readImaCount(imaLog), grew }
  const merging = (signal: AbortSignal) => soft.keepMerging(signal)
  return { tasks: guest.tpm === null ? [merging] : [merging, (signal) => watchIma(watching, signal)] }
}
