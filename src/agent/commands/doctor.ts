import { Command } from 'commander'
import { collectHostFacts } from '../../platform/host-facts.ts'
import { openPeerCredentials } from '../../platform/peer-credentials.ts'
import { defaultConfigurationFile } from '../configuration/read.ts'
import { type ExaminedHost, examineHost } from '../doctor/examine.ts'
import type { Item } from '../doctor/item.ts'
import { agentErrors } from '../errors.ts'
import { type CommandIo, escaped, painted } from '../presentation/terminal.ts'
import { openHost } from '../wiring/host.ts'

const colours = { ok: 'green', warning: 'yellow', problem: 'red' } as const
const idWidth = 16

function itemLines({ id, state, says, remedy }: Item, io: CommandIo): string {
  const indent = ' '.repeat(9 + idWidth)
  const lines = says.split('\n').map(escaped).join(`\n${indent}`)
  const mend = remedy === null ? '' : `${indent}remedy: ${escaped(remedy)}\n`
  return `${painted(io, colours[state], state.padEnd(9))}${id.padEnd(idWidth)}${lines}\n${mend}`
}

/** Which devices were looked at, and so are part of the evidence. */
function devicesIn(items: readonly Item[]): string {
  const has = (prefix: string) => items.some(({ id }) => id.startsWith(prefix))
  return [...(has('tdx.') ? ['its TD'] : []), ...(has('tpm.') ? ['its TPM'] : [])].join(' and ')
}

function verdict(items: readonly Item[], io: CommandIo): string {
  const count = (state: Item['state']) => items.filter((item) => item.state === state).length
  const counted = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`
  const counts = `${counted(count('problem'), 'problem')}, ${counted(count('warning'), 'warning')}`
  if (count('problem') === 0)
    return `${painted(io, 'green', `this machine can attest with ${devicesIn(items)}`)}: ${counts}\n`
  return `${painted(io, 'red', 'this machine cannot attest as it is')}: ${counts}\n`
}

/** This process and its machine. */
function thisHost(config: string | undefined): ExaminedHost {
  return {
    file: config ?? defaultConfigurationFile,
    explicit: config !== undefined,
    host: openHost(),
    uid: process.geteuid?.() ?? 0,
    nodeVersion: process.versions.node,
    callers: openPeerCredentials(),
    collectFacts: collectHostFacts,
  }
}

/** `attestd doctor`: what this machine can attest, what is missing and how to mend it; exit 0 if there is no problem. */
export function doctorCommand(io: CommandIo, hostOf: (config?: string) => ExaminedHost = thisHost): Command {
  return new Command('doctor')
    .description('look at everything that attesting this machine depends on, and say how to mend what is missing')
    .option('--config <file>', `configuration file (default: "${defaultConfigurationFile}")`)
    .option('--json', 'print the items as a JSON object')
    .action(async ({ config, json }: { config?: string; json?: boolean }) => {
      const items: Item[] = []
      for await (const item of examineHost(hostOf(config))) {
        items.push(item)
        if (!json) io.out(itemLines(item, io))
      }
      const problems = items.filter(({ state }) => state === 'problem')
      io.out(json ? `${JSON.stringify({ able: problems.length === 0, items })}\n` : verdict(items, io))
      if (problems.length > 0) throw agentErrors.error('HOST_CANNOT_ATTEST', problems.map(({ id }) => id).join(', '))
    })
}
