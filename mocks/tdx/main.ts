import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startMachine } from './machine.ts'

/**
 * The simulated TDX machine as a process: kernel and provisioning service, until SIGTERM or SIGINT. Prints one line of
 * JSON when both listen: `{"kernel": PATH, "pccs": URL, "root": PATH of the root certificate in PEM}`.
 */
const usage = 'usage: main.js --state DIRECTORY [--socket PATH] [--port PORT] [--quote-delay MILLISECONDS]\n'

function readOptions() {
  const { values } = parseArgs({
    options: {
      state: { type: 'string' },
      socket: { type: 'string' },
      port: { type: 'string', default: '0' },
      'quote-delay': { type: 'string', default: '0' },
    },
  })
  return values
}

async function main(): Promise<number> {
  const { state, socket, port, 'quote-delay': quoteDelay } = readOptions()
  if (state === undefined || !/^\d{1,5}$/.test(port) || !/^\d{1,6}$/.test(quoteDelay)) {
    process.stderr.write(usage)
    return 64
  }
  mkdirSync(state, { recursive: true, mode: 0o700 })
  process.stderr.write('attestd simulator: a simulated TDX machine. Nothing here protects anything.\n')
  const signalled = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
  await using machine = await startMachine({
    stateDirectory: state,
    socket: socket ?? join(state, 'kernel.sock'),
    port: Number(port),
    quoteDelayMs: Number(quoteDelay),
  })
  process.stdout.write(`${JSON.stringify({ kernel: machine.socket, pccs: machine.pccs.url, root: machine.root })}\n`)
  await signalled
  return 0
}

process.exitCode = await main()
