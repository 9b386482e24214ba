import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { type ProvisionedTpm, provisionSwtpm } from '../../mocks/swtpm/provision.ts'
import { type RunningSwtpm, startSwtpm } from '../../mocks/swtpm/swtpm.ts'

/** Tests with a simulated TPM are skipped, and counted as skipped, where swtpm is not installed. */
export const haveSwtpm = ['swtpm', 'swtpm_setup'].every(
  (program) => spawnSync(program, ['--help'], { stdio: 'ignore' }).status === 0,
)

export interface SimulatedTpm {
  readonly made: () => ProvisionedTpm
  readonly tpm: () => RunningSwtpm
  /** Starts the TPM again after the test killed or stopped it. */
  readonly restart: () => Promise<RunningSwtpm>
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the simulated TPM has not been started')
  return value
}

/** One simulated TPM for the tests of a suite, made before the first and removed after the last. */
export function useSwtpm(name = 'simulated-tpm'): SimulatedTpm {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-tpm-'))
  let made: ProvisionedTpm | undefined
  let tpm: RunningSwtpm | undefined
  beforeAll(async () => {
    made = await provisionSwtpm({ folder, name })
    tpm = await startSwtpm(made)
  })
  afterAll(async () => {
    await tpm?.kill()
    for (const path of [folder, tpm?.socketDirectory ?? folder]) rmSync(path, { recursive: true, force: true })
  })
  return {
    made: () => required(made),
    tpm: () => required(tpm),
    async restart() {
      tpm = await startSwtpm({ ...required(made), socketDirectory: required(tpm).socketDirectory })
      return tpm
    },
  }
}
