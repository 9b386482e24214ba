import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, expect } from 'vitest'

/** A published client library, and the part of it that a suite drives. */
export interface DrivenClient {
  /** Names in `devDependencies`, whose versions are exact (RC-01). */
  readonly packages: readonly string[]
  /** What it does there, for the heading. */
  readonly doing: string
}

interface Task {
  readonly type: string
  readonly name: string
  readonly tasks?: readonly Task[]
  readonly result?: { readonly state: string }
}

const root = resolve(import.meta.dirname, '../..')
const page = resolve(root, 'docs/clients.md')
const writes = process.env['ATTESTD_WRITE_CLIENTS'] === '1'

/** Names of all tests below, with those of the suites inside of the outermost. */
function testsIn(tasks: readonly Task[], path: readonly string[] = []): { name: string; state: string }[] {
  return tasks.flatMap(({ type, name, tasks: inner = [], result }) =>
    type === 'suite'
      ? testsIn(inner, [...path, name])
      : [{ name: [...path.slice(1), name].join(' '), state: result?.state ?? 'skipped' }],
  )
}

function sectionOf({ packages, doing }: DrivenClient, tests: readonly string[]): string {
  const { devDependencies } = JSON.parse(readFileSync(resolve(root, 'package.json'), 'utf8'))
  const proved = tests.map((test) => `| ${test.replaceAll('|', '\\|')} |`)
  const versions = packages.map((name) => `\`${name}\` ${devDependencies[name]}`)
  return [`## ${doing}`, '', versions.join(', '), '', '| proved |', '|---|', ...proved, ''].join('\n')
}

/** The page with this section in place of one of the same heading, or behind the others. */
function withSection(text: string, section: string): string {
  const heading = section.split('\n')[0] ?? ''
  const [intro = '', ...others] = text.split(/^(?=## )/m)
  const kept = others.filter((other) => other.split('\n')[0] !== heading).map((other) => other.trimEnd())
  const sections = [...kept, section.trimEnd()].sort()
  return `${[intro.trimEnd(), ...sections].join('\n\n')}\n`
}

/**
 * RC-08: what the tests of this file proved is a section of docs/clients.md. Compares it with the tests that passed just
 * now, and writes it where ATTESTD_WRITE_CLIENTS=1 (with --no-file-parallelism). A run of a part of the file says nothing.
 */
export function provedByClient(client: DrivenClient): void {
  // biome-ignore lint/correctness/noEmptyPattern: the runner reads the pattern, and the tests are its second argument
  afterAll(({}, file: unknown) => {
    const tests = testsIn((file as Task).tasks ?? [])
    if (tests.some(({ state }) => state !== 'pass')) return
    const names = tests.map(({ name }) => name)
    const section = sectionOf(client, names)
    const text = readFileSync(page, 'utf8')
    if (writes) writeFileSync(page, withSection(text, section))
    else expect(withSection(text, section), 'docs/clients.md tells of another run').toBe(text)
  })
}
