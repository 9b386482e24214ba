import { Command, InvalidArgumentError, Option } from 'commander'
import type { ReferenceAlgorithm } from '../../reference-values/digest-set.ts'
import { agentErrors } from '../errors.ts'
import { readInput } from '../input-file.ts'
import { learningDocument, renderLearning } from '../presentation/reference.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { writeReferenceFile } from '../reference/documents.ts'
import { learnDeb } from '../reference/learn-deb.ts'
import { learnDpkg } from '../reference/learn-dpkg.ts'
import { defaultGoldenPcrs, learnEvidence } from '../reference/learn-evidence.ts'
import { learnRpm } from '../reference/learn-rpm.ts'
import { learnTree } from '../reference/learn-tree.ts'
import { Learning } from '../reference/learning.ts'
import { integerOption } from './options.ts'

interface OutputOptions {
  readonly output: string
  readonly name: string
  readonly description?: string
  readonly json?: boolean
}

/** An IMA log of four million records. */
const largestEvidence = 1 << 30
const progressEach = 1000

/** Options of every way to learn. */
function withOutput(command: Command): Command {
  return command
    .option('-o, --output <file>', 'where the document goes, - for standard output', '-')
    .option('--name <name>', 'name of the document, in its first line', 'learned')
    .option('--description <text>', 'what the document is about, in its first line')
    .option('--json', 'print what was learned and left out as a JSON object; needs --output')
}

const algorithmOption = () =>
  new Option('--algorithm <name>', 'digest of each file; the one that the IMA policy of the machines uses')
    .choices(['sha256', 'sha384', 'sha512'])
    .default('sha256')

const executableOption = () =>
  new Option('--executable-only', 'only files with an execute bit, and ELF files such as libraries')

const excludeOption = () =>
  new Option('--exclude <glob...>', 'paths to leave out, with everything below them; * is not over /, ** is')

const mergedUsrOption = () =>
  new Option('--merged-usr', 'write /bin, /sbin and /lib* as they are found where those are links into /usr')

function prefixOption(text: string): string {
  if (!text.startsWith('/')) throw new InvalidArgumentError('must be an absolute path.')
  return Buffer.from(text.replace(/\/+$/, ''), 'utf8').toString('latin1')
}

function pcrsOption(text: string): readonly number[] {
  const pcrs = text.split(',').flatMap((part) => {
    const [, first, last = first] = /^([0-9]{1,2})(?:-([0-9]{1,2}))?$/.exec(part) ?? []
    const [from, to] = [Number(first ?? Number.NaN), Number(last ?? Number.NaN)]
    if (!(from <= to && to <= 23)) throw new InvalidArgumentError('must be PCRs such as 0-7,14.')
    return Array.from({ length: to - from + 1 }, (_none, index) => from + index)
  })
  return [...new Set(pcrs)].sort((left, right) => left - right)
}

/** Counts on a terminal, where somebody waits; nothing elsewhere. */
function progressOn(io: CommandIo): { readonly onFile: () => void; readonly end: () => void } {
  let files = 0
  const show = () => io.err(`\r${files} files`)
  return {
    onFile: () => {
      files++
      if (io.terminal && files % progressEach === 0) show()
    },
    end: () => {
      if (io.terminal && files >= progressEach) io.err('\r\u001b[K')
    },
  }
}

type Learn = (learning: Learning, onFile: () => void) => Promise<void>

async function runLearn(learn: Learn, options: OutputOptions, io: CommandIo): Promise<void> {
  const { output, name, description = null, json } = options
  if (json && output === '-') {
    throw agentErrors.error('USAGE', '--json describes what was written to a file: give --output')
  }
  const learning = new Learning()
  const progress = progressOn(io)
  await learn(learning, progress.onFile)
  progress.end()
  const values = learning.collector.build()
  await writeReferenceFile(output, values, { name, description }, io)
  const summary = renderLearning(learning, values, output === '-' ? { colour: false } : io)
  if (json) io.out(`${JSON.stringify({ output, ...learningDocument(learning, values) })}\n`)
  else if (output === '-') io.err(summary)
  else io.out(summary)
}

interface EvidenceOptions extends OutputOptions {
  readonly image?: string
  readonly pcrs: readonly number[]
  readonly imaPcr: number
}

function evidenceCommand(io: CommandIo): Command {
  const command = new Command('evidence')
    .description('learn from what a machine in the wanted state measured; nothing of it is verified')
    .argument('<file...>', 'TPM evidence, or IMA logs in binary or text form; - for standard input')
    .option('--image <name>', 'learn the quoted PCRs as a golden set of this name')
    .addOption(
      new Option('--pcrs <list>', 'PCRs of that set, as far as they are quoted')
        .argParser(pcrsOption)
        .default(defaultGoldenPcrs, defaultGoldenPcrs.join(',')),
    )
    .addOption(new Option('--ima-pcr <n>', 'the register of IMA').argParser(integerOption(8, 14)).default(10))
  return withOutput(command).action((files: string[], options: EvidenceOptions) => {
    const { image = null, pcrs, imaPcr } = options
    return runLearn(
      async (learning) => {
        for (const file of files) {
          learnEvidence(await readInput(file, largestEvidence), file, { image, pcrs, imaPcr }, learning)
        }
      },
      options,
      io,
    )
  })
}

interface TreeOptions extends OutputOptions {
  readonly algorithm: ReferenceAlgorithm
  readonly rootPrefix: string
  readonly exclude?: string[]
  readonly executableOnly?: boolean
  readonly crossFileSystems?: boolean
}

function treeCommand(io: CommandIo): Command {
  const command = new Command('tree')
    .description('learn the regular files of a directory tree, such as the root of an image')
    .argument('<directory>', 'the tree; symbolic links in it are not followed')
    .addOption(algorithmOption())
    .addOption(
      new Option('--root-prefix <path>', 'where the tree will be on the machines')
        .argParser(prefixOption)
        .default('', '/'),
    )
    .addOption(excludeOption())
    .addOption(executableOption())
    .option('--cross-file-systems', 'enter folders on which another file system is mounted')
  return withOutput(command).action((directory: string, options: TreeOptions) => {
    const { exclude = [], executableOnly = false, crossFileSystems = false, algorithm, rootPrefix } = options
    const chosen = { exclude, executableOnly, crossFileSystems, algorithm, rootPrefix }
    return runLearn((learning, onFile) => learnTree(directory, learning, { ...chosen, onFile }), options, io)
  })
}

interface DpkgOptions extends OutputOptions {
  readonly root?: string
  readonly exclude?: string[]
  readonly executableOnly?: boolean
  readonly unowned?: boolean
  readonly mergedUsr?: boolean
  readonly algorithm: ReferenceAlgorithm
}

async function learnPackages(files: readonly string[], options: DpkgOptions, learning: Learning): Promise<void> {
  const { root, exclude, unowned, algorithm, executableOnly = false, mergedUsr = false } = options
  if (root ?? exclude ?? unowned)
    throw agentErrors.error('USAGE', '--root, --exclude and --unowned are for trees, not for .deb files')
  for (const file of files) await learnDeb(file, learning, { algorithm, executableOnly, mergedUsr })
}

function dpkgCommand(io: CommandIo): Command {
  const command = new Command('dpkg')
    .description('learn the files of Debian packages: those installed in a tree, or .deb files')
    .argument('[deb...]', 'packages; without any, those installed below --root')
    .option('--root <directory>', 'the tree with var/lib/dpkg; default: /')
    .addOption(excludeOption())
    .addOption(executableOption())
    .option('--unowned', 'learn also files that no package owns, or of which it has no checksum')
    .addOption(mergedUsrOption())
    .addOption(algorithmOption())
  return withOutput(command).action((files: string[], options: DpkgOptions) => {
    const { root = '/', exclude = [], executableOnly = false, unowned = false } = options
    const tree = { exclude, executableOnly, unowned }
    return runLearn(
      (learning, onFile) =>
        files.length > 0 ? learnPackages(files, options, learning) : learnDpkg(root, learning, { ...tree, onFile }),
      options,
      io,
    )
  })
}

interface RpmOptions extends OutputOptions {
  readonly executableOnly?: boolean
  readonly mergedUsr?: boolean
}

function rpmCommand(io: CommandIo): Command {
  const command = new Command('rpm')
    .description('learn the files that RPM packages declare; no signature is checked')
    .argument('<file...>', '.rpm files, or the text of rpm -qa --dump; - for such text on standard input')
    .addOption(executableOption())
    .addOption(mergedUsrOption())
  return withOutput(command).action((files: string[], options: RpmOptions) =>
    runLearn(
      async (learning) => {
        const { executableOnly = false, mergedUsr = false } = options
        for (const file of files) await learnRpm(file, learning, { executableOnly, mergedUsr })
      },
      options,
      io,
    ),
  )
}

/** `attestd reference learn`: reference values from machines, trees and packages in the wanted state. */
export function learnCommand(io: CommandIo): Command {
  return new Command('learn')
    .description('make reference values from machines, trees or packages in the wanted state')
    .addCommand(evidenceCommand(io))
    .addCommand(treeCommand(io))
    .addCommand(dpkgCommand(io))
    .addCommand(rpmCommand(io))
}
