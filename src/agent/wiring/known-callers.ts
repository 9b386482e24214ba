import { hidepidOption } from '../../platform/host-facts.ts'
import type { PeerCredentials } from '../../platform/peer-credentials.ts'

interface StartLog {
  error(facts: object, message: string): void
  warn(facts: object, message: string): void
}

/**
 * Says in the log, at start, what this host does not let the agent know of its callers: who they are at all (API-55), or
 * in which unit they run, because `/proc` hides the processes of others (API-56). `root`: of the file system, for tests.
 */
export async function warnOfUnknownCallers(
  { degraded }: Pick<PeerCredentials, 'degraded'>,
  log: StartLog,
  root = '/',
): Promise<void> {
  if (degraded) return log.error({ code: degraded.code }, degraded.message)
  const option = await hidepidOption(root)
  if (option === null) return
  const says = `/proc is mounted with ${option}: rules with a unit, a slice or a container do not match callers that it hides`
  log.warn({ event: 'processes_hidden', option }, says)
}
