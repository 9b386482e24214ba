import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import { agentErrors } from '../errors.ts'
import { CommandEnd } from '../presentation/command-end.ts'

/** A program of its own, for it brings clocks, issuers and devices that are not real: the agent never loads them. */
const runner = fileURLToPath(new URL('../../../test/faults/matrix/main.js', import.meta.url))

/** EX_SOFTWARE: the program was ended by a signal. */
const endedBySignal = 70

function faultId(id: string, before: readonly string[] = []): string[] {
  if (!/^F[0-9]{2}$/.test(id)) throw new InvalidArgumentError('must be the number of a fault, as F01.')
  return [...before, id]
}

async function runMatrix(ids: readonly string[], json: boolean): Promise<never> {
  if (!existsSync(runner)) {
    throw agentErrors.error('INPUT_UNREADABLE', `${runner} is not there`, { remedy: 'install the whole package' })
  }
  const child = spawn(process.execPath, [runner, ...(json ? ['--json'] : []), ...ids], { stdio: 'inherit' })
  const [code] = (await once(child, 'exit')) as [number | null]
  throw new CommandEnd(code ?? endedBySignal)
}

/**
 * `attestd fault-matrix [ID…]`: puts the code of this installation to the simulated faults of the matrix (BRK-173), on any machine and
 * without any device; nothing of the running agent is touched. `--json` prints an object a line. Exit code 0: all were held; 1: one
 * was not, and its line says what was served or awaited that must not be.
 */
export function faultMatrixCommand(): Command {
  return new Command('fault-matrix')
    .description('repeat the simulated faults of docs/fault-matrix.md with the code of this installation')
    .argument('[id...]', 'faults to run, as F01; all where none is named', faultId)
    .option('--json', 'print JSON, an object a line')
    .action((ids: string[], { json }: { json?: boolean }) => runMatrix(ids, json === true))
}
