import type { Broker } from '../passport/broker.ts'
import type { EntrySelector } from '../workload-api/admin-routes.ts'

/** Invalidates what an administrator selected, entry by entry where several audiences are named. Gives their number. */
export function invalidateSelected(broker: Broker, entries: EntrySelector, hard: boolean): number {
  if ('audience' in entries) {
    return entries.audience.reduce((sum, audience) => sum + broker.invalidate({ ...entries, audience, hard }), 0)
  }
  return broker.invalidate({ ...entries, hard })
}
