import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { PolicyDiagnostic, Severity } from '../../policies/index.ts'
import { type SourceText, sourceText, spanEnd } from '../presentation/policy-source-text.ts'
import type { ExaminedPolicy } from './examine-policy.ts'
import { titleOfRule } from './rule-titles.ts'

const levels: Readonly<Record<Severity, 'error' | 'warning' | 'note'>> = {
  error: 'error',
  warning: 'warning',
  info: 'note',
}

/** A URI reference (RFC 3986): relative as the file was named, so that it fits to the folder of the sources. */
function uriOf(path: string): string {
  if (path.startsWith('/')) return pathToFileURL(resolve(path)).href
  return path.split('/').map(encodeURIComponent).join('/')
}

function artifactOf(path: string): Record<string, unknown> {
  return path === '-' ? { description: { text: 'standard input' } } : { uri: uriOf(path) }
}

/** Columns are code points, 1-based, and the end is behind the last one; an empty region is an insertion point. */
function regionOf(diagnostic: PolicyDiagnostic, text: SourceText): Record<string, number> {
  const { line, column } = diagnostic
  const end = spanEnd(text, diagnostic)
  return { startLine: line, startColumn: column, endLine: end.line, endColumn: end.column }
}

function ruleOf(id: string): Record<string, unknown> {
  return { id, shortDescription: { text: titleOfRule(id) } }
}

/** Braces are placeholders in messages, and brackets before a parenthesis links, unless they are escaped (section 3.11). */
function messageOf({ message, hint }: PolicyDiagnostic): string {
  const says = hint === undefined ? message : `${message}; ${hint}`
  return says.replace(/[{}]/g, '$&$&').replace(/\[(?=[^[\]]{0,256}\]\()/g, '\\$&')
}

function resultsOf({ bytes, diagnostics }: ExaminedPolicy, path: string, rules: readonly string[]): unknown[] {
  const text = sourceText(bytes)
  return diagnostics.map((each) => ({
    ruleId: each.id,
    ruleIndex: rules.indexOf(each.id),
    level: levels[each.severity],
    message: { text: messageOf(each) },
    locations: [{ physicalLocation: { artifactLocation: artifactOf(path), region: regionOf(each, text) } }],
  }))
}

/** One file as the command line names it, and what was found. */
export interface NamedExamination {
  readonly path: string
  readonly examined: ExaminedPolicy
}

/** Findings as a log in the Static Analysis Results Interchange Format 2.1.0 (OASIS), for code hosts and editors. */
export function sarifLog(examinations: readonly NamedExamination[], version: string): Record<string, unknown> {
  const found = examinations.flatMap(({ examined }) => examined.diagnostics)
  const rules = [...new Set(found.map(({ id }) => id))].sort()
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'attestd policy', semanticVersion: version, rules: rules.map(ruleOf) } },
        columnKind: 'unicodeCodePoints',
        newlineSequences: ['\r\n', '\n', '\r'],
        artifacts: examinations.map(({ path }) => ({ location: artifactOf(path) })),
        results: examinations.flatMap(({ path, examined }) => resultsOf(examined, path, rules)),
      },
    ],
  }
}
