import { agentErrors } from '../errors.ts'

interface ProcessFacts {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly execArgv: readonly string[]
  readonly euid: number | undefined
}

/** BRK-144: whoever sets these runs code in the process that holds tokens and keys. */
export function requireSafeProcess({ environment, execArgv, euid }: ProcessFacts, allowRoot: boolean): void {
  if (environment['NODE_OPTIONS']) throw agentErrors.error('UNSAFE_ENVIRONMENT', 'NODE_OPTIONS is set')
  const inspector = execArgv.find((argument) => argument.startsWith('--inspect'))
  if (inspector) throw agentErrors.error('UNSAFE_ENVIRONMENT', `Node was started with ${inspector}`)
  if (euid === 0 && !allowRoot) throw agentErrors.error('RUNNING_AS_ROOT', 'attestd was started as root')
}
