import { realpath, stat } from 'node:fs/promises'
import { Command } from 'commander'
import { samePublicBytes } from '../../base/bytes.ts'
import { writeAtomically } from '../../platform/atomic-file.ts'
import { formatPolicy } from '../../policies/index.ts'
import { showDiagnostic } from '../../policies/language/show-diagnostic.ts'
import { agentErrors } from '../errors.ts'
import { type PolicySource, readPolicySource, requireOneStandardInput } from '../policy-tools/policy-source.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { openHost } from '../wiring/host.ts'

interface FormatOptions {
  readonly check?: boolean
  readonly write?: boolean
  readonly lenient?: boolean
}

function formatted({ file, bytes }: PolicySource, { lenient = false }: FormatOptions): Uint8Array {
  const { text, diagnostics } = formatPolicy(bytes, { lenient })
  if (text !== undefined) return new TextEncoder().encode(text)
  const shown = diagnostics.map((each) => showDiagnostic(each, bytes, file)).join('\n')
  throw agentErrors.error('POLICY_INVALID', shown)
}

/** Behind a link the file itself is replaced, with the mode that it has. */
async function replaceFile(path: string, content: Uint8Array): Promise<void> {
  const own = await realpath(path)
  const { mode } = await stat(own)
  await writeAtomically(own, content, { mode: mode & 0o777, random: openHost().random })
}

function requireSensible(files: readonly string[], { check, write }: FormatOptions): void {
  requireOneStandardInput(files)
  if (check && write) throw agentErrors.error('USAGE', '--check and --write contradict each other')
  if (write && files.includes('-')) throw agentErrors.error('USAGE', '--write needs files: - has no place to write to')
  if (!check && !write && files.length > 1) {
    throw agentErrors.error('USAGE', 'several policies on standard output are none: give --check or --write')
  }
}

/** Nothing is written before every file is known to load. */
async function formatFiles(files: readonly string[], options: FormatOptions, io: CommandIo): Promise<string[]> {
  const sources: PolicySource[] = []
  for (const file of files) sources.push(await readPolicySource(file))
  const laidOut = sources.map((source) => formatted(source, options))
  const changed: string[] = []
  for (const [at, text] of laidOut.entries()) {
    const [path = '', source] = [files[at], sources[at]]
    if (!options.check && !options.write) io.out(new TextDecoder('utf-8', { ignoreBOM: true }).decode(text))
    else if (source !== undefined && !samePublicBytes(text, source.bytes)) {
      if (options.write) await replaceFile(path, text)
      changed.push(source.file)
    }
  }
  return changed
}

/** `attestd policy fmt FILE…`: the one layout (section 10 of the specification); it never changes what a policy means. */
export function policyFormatCommand(io: CommandIo): Command {
  return new Command('fmt')
    .description('lay policies out in the one form: comments stay, the rules stay the same, the hash does not')
    .argument('<file...>', 'the policies, - for standard input')
    .option('--check', 'name the files that are not in this form, and exit with 1 if there are any')
    .option('--write', 'replace the files, each whole or not at all')
    .option('--lenient', 'accept words in the wrong case, and write them right')
    .action(async (files: string[], options: FormatOptions) => {
      requireSensible(files, options)
      const changed = await formatFiles(files, options, io)
      for (const file of changed) io.out(`${file}\n`)
      if (options.check && changed.length > 0) {
        throw agentErrors.error('POLICY_UNFORMATTED', `${changed.length} of ${files.length}: ${changed.join(', ')}`)
      }
    })
}
