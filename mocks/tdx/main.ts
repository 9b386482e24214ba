import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startMachine } from './machine.ts'
import { type EnclaveStatus, enclaveSvns, loaderSvns, type PlatformStatus, teeTcbSvn } from './platform.ts'
import { debugAttributes } from './quotes.ts'

const platformStatuses = Object.keys(loaderSvns) as PlatformStatus[]
const moduleStatuses = Object.keys(enclaveSvns) as EnclaveStatus[]

/**
 * The simulated TDX machine as a process: kernel and provisioning service, until SIGTERM or SIGINT. Prints one line of
 * JSON when both listen: `{"kernel": PATH, "pccs": URL, "root": PATH of the root certificate in PEM}`.
 */
const usage = `usage: main.js --state DIRECTORY [--socket PATH] [--port PORT] [--quote-delay MILLISECONDS]
               [--platform STATUS] [--module STATUS] [--debug]
`

function readOptions() {
  const { values } = parseArgs({
    options: {
      state: { type: 'string' },
      socket: { type: 'string' },
      port: { type: 'string', default: '0' },
      'quote-delay': { type: 'string', default: '0' },
      platform: { type: 'string', default: 'UpToDate' },
      module: { type: 'string', default: 'UpToDate' },
      debug: { type: 'boolean', default: false },
    },
  })
  return values
}

/** What quotes say of the platform, or undefined for a status that there is not. */
function quoteOf({ platform, module, debug }: ReturnType<typeof readOptions>) {
  const [ofPlatform, ofModule] = [
    platformStatuses.find((one) => one === platform),
    moduleStatuses.find((one) => one === module),
  ]
  if (!ofPlatform || !ofModule) return undefined
  return {
    teeTcbSvn: teeTcbSvn({ platform: ofPlatform, module: ofModule }),
    ...(debug ? { tdAttributes: debugAttributes } : {}),
  }
}

async function main(): Promise<number> {
  const options = readOptions()
  const { state, socket, port, 'quote-delay': quoteDelay } = options
  const quote = quoteOf(options)
  if (state === undefined || quote === undefined || !/^\d{1,5}$/.test(port) || !/^\d{1,6}$/.test(quoteDelay)) {
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
    quote,
  })
  process.stdout.write(`${JSON.stringify({ kernel: machine.socket, pccs: machine.pccs.url, root: machine.root })}\n`)
  await signalled
  return 0
}

process.exitCode = await main()
