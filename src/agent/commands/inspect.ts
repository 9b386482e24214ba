import { Command, Option } from 'commander'
import { readInput } from '../input-file.ts'
import { inspect, inspectors } from '../inspection/inspect.ts'
import type { InspectedField, Inspection } from '../inspection/inspection.ts'
import { type CommandIo, escaped, painted } from '../presentation/terminal.ts'

function fieldLine({ depth, name, offset, size, value }: InspectedField, io: CommandIo): string {
  const place = offset === null ? '' : `${offset}${size === null ? '' : `+${size}`}`
  return `${painted(io, 'grey', place.padStart(12))}  ${'  '.repeat(depth)}${escaped(name)}${value ? `  ${escaped(value)}` : ''}\n`
}

function render({ kind, fields, problem }: Inspection, io: CommandIo): string {
  const lines = fields.map((field) => fieldLine(field, io)).join('')
  return `${kind}\n${lines}${problem ? `${painted(io, 'red', 'stops here')}: ${escaped(problem.message)}\n` : ''}`
}

/** `attestd inspect FILE`: a readable tree of offset+size, name and value. */
export function inspectCommand(io: CommandIo): Command {
  return new Command('inspect')
    .description('show evidence, a log, a TPM structure, a certificate or a token as a tree with byte offsets')
    .argument('<file>', 'the file, - for standard input')
    .addOption(new Option('--kind <kind>', 'what the file is, where it does not tell').choices(Object.keys(inspectors)))
    .option('--json', 'print the tree as a JSON object')
    .action(async (file: string, { kind, json }: { kind?: string; json?: boolean }) => {
      const { problem, ...inspection } = inspect(await readInput(file), kind, { whole: json === true })
      io.out(json ? `${JSON.stringify(inspection)}\n` : render({ ...inspection, ...(problem ? { problem } : {}) }, io))
      if (problem) throw problem
    })
}
