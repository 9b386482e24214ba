import { renderResult, runSimulated } from './run-simulated.ts'
import { simulatedFaults } from './simulated-faults.ts'

/**
 * `attestd fault-matrix` starts this program of the package (BRK-173): `[--json] [ID…]`. Ends with 0 if every fault was held, 1 if
 * one was not, 64 for a fault that it does not have.
 */
async function main(args: readonly string[]): Promise<number> {
  const json = args.includes('--json')
  const ids = args.filter((arg) => arg !== '--json')
  const known = simulatedFaults.map(({ id }) => id)
  const strange = ids.filter((id) => !known.includes(id))
  if (strange.length > 0) {
    process.stderr.write(
      `attestd fault-matrix: ${strange.join(', ')} is not in the package; it has ${known.join(' ')}\n`,
    )
    return 64
  }
  let broken = 0
  for (const fault of simulatedFaults.filter(({ id }) => ids.length === 0 || ids.includes(id))) {
    const result = await runSimulated(fault)
    if (!result.held) broken++
    process.stdout.write(json ? `${JSON.stringify(result)}\n` : renderResult(result))
  }
  return broken === 0 ? 0 : 1
}

process.exitCode = await main(process.argv.slice(2))
