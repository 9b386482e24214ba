import { Command } from 'commander'
import { areEqual, differences } from '../../reference-values/differences.ts'
import { encodeReferenceItem } from '../../reference-values/encode-reference-values.ts'
import { joinReferenceValues } from '../../reference-values/reference-collector.ts'
import type { ReferenceValues } from '../../reference-values/reference-values.ts'
import { agentErrors } from '../errors.ts'
import {
  differencesDocument,
  documentHead,
  renderDifferences,
  renderDoubts,
  renderHead,
  shownItems,
} from '../presentation/reference.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { readReferenceFile, writeReferenceFile } from '../reference/documents.ts'
import { examineReferences } from '../reference/examine-references.ts'
import { learnCommand } from './reference-learn.ts'

interface DiffOptions {
  readonly exitCode?: boolean
  readonly json?: boolean
}

function diffCommand(io: CommandIo): Command {
  return new Command('diff')
    .description('show what two documents say differently: - only in the first, + only in the second')
    .argument('<before>', 'the first document, - for standard input')
    .argument('<after>', 'the second document')
    .option('--exit-code', 'exit with 1 if they differ')
    .option('--json', 'print the differences as a JSON object')
    .action(async (before: string, after: string, { exitCode, json }: DiffOptions) => {
      const first = await readReferenceFile(before)
      const found = differences(first.values, (await readReferenceFile(after)).values)
      if (json) io.out(`${JSON.stringify(differencesDocument(found))}\n`)
      else for (const line of renderDifferences(found, io)) io.out(line)
      if (exitCode && !areEqual(found)) throw agentErrors.error('REFERENCES_DIFFER', `${before} and ${after} differ`)
    })
}

interface ShowOptions {
  readonly path?: string
  readonly json?: boolean
}

function showCommand(io: CommandIo): Command {
  return new Command('show')
    .description('show name, id and numbers of a document, and all that is not a file; or the files at some paths')
    .argument('<file>', 'the document, - for standard input')
    .option('--path <glob>', 'show the files whose path matches')
    .option('--json', 'print it as a JSON object')
    .action(async (file: string, { path, json }: ShowOptions) => {
      const document = await readReferenceFile(file)
      const lines = Array.from(shownItems(document.values, path), encodeReferenceItem).sort()
      if (json) {
        io.out(`${JSON.stringify({ ...documentHead(document), items: lines.map((line) => JSON.parse(line)) })}\n`)
        return
      }
      io.out(path === undefined ? renderHead(document) : '')
      for (const line of lines) io.out(`${line}\n`)
    })
}

interface CheckOptions {
  readonly strict?: boolean
  readonly json?: boolean
}

function checkCommand(io: CommandIo): Command {
  return new Command('check')
    .description('read a document, and name what is weak, hidden by an exclude rule, or said twice')
    .argument('<file>', 'the document, - for standard input')
    .option('--strict', 'exit with 1 if there is any such thing')
    .option('--json', 'print the result as a JSON object')
    .action(async (file: string, { strict, json }: CheckOptions) => {
      const document = await readReferenceFile(file)
      const doubts = examineReferences(document)
      if (json) io.out(`${JSON.stringify({ ...documentHead(document), doubts })}\n`)
      else io.out(renderHead(document) + renderDoubts(doubts, io))
      if (strict && doubts.length > 0) {
        throw agentErrors.error('REFERENCES_DOUBTFUL', `${file}: ${doubts.map(({ about }) => about).join(', ')}`)
      }
    })
}

interface JoinOptions {
  readonly output: string
  readonly name: string
  readonly description?: string
  readonly json?: boolean
}

function joinCommand(io: CommandIo): Command {
  return new Command('join')
    .description('write what several documents say together as one')
    .argument('<file...>', 'the documents, in any order')
    .option('-o, --output <file>', 'where the document goes, - for standard output', '-')
    .option('--name <name>', 'name of the document, in its first line', 'joined')
    .option('--description <text>', 'what the document is about, in its first line')
    .option('--json', 'print what was written as a JSON object; needs --output')
    .action(async (files: string[], options: JoinOptions) => {
      const { output, name, description = null, json } = options
      if (json && output === '-') throw agentErrors.error('USAGE', '--json describes what was written: give --output')
      const parts: ReferenceValues[] = []
      for (const file of files) parts.push((await readReferenceFile(file)).values)
      const values = joinReferenceValues(parts)
      const document = { header: { name, description }, values }
      await writeReferenceFile(output, values, document.header, io)
      if (json) io.out(`${JSON.stringify({ output, ...documentHead(document) })}\n`)
      else if (output !== '-') io.out(renderHead(document))
    })
}

/** `attestd reference`: documents of reference values, made, compared and looked at without an agent. */
export function referenceCommand(io: CommandIo): Command {
  return new Command('reference')
    .description('reference values: learn what good looks like, compare, show and check documents of it')
    .addCommand(learnCommand(io))
    .addCommand(joinCommand(io))
    .addCommand(diffCommand(io))
    .addCommand(showCommand(io))
    .addCommand(checkCommand(io))
}
