import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import ajvFormats from 'ajv-formats'
import { afterAll, describe, expect, it } from 'vitest'
import { policyCommand } from '../../src/agent/commands/policy.ts'
import { policyBytes, policyCases } from '../support/policy-cases.ts'
import { runInProcess } from '../support/recorded-io.ts'
import { haveVectors } from '../support/vectors.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-sarif-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const { resolve } = createRequire(import.meta.url)
const {
  id,
  $schema: _draft,
  ...schema
} = JSON.parse(readFileSync(resolve('@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json'), 'utf8'))
const ajv = new Ajv({ strict: false, allErrors: true, unicodeRegExp: false })
ajvFormats.default(ajv)
/** The schema is of draft 4 and uses nothing that later drafts read otherwise, but for the name of its `id`. */
const isValid = ajv.compile({ ...schema, $id: id })

const file = (name: string, content: string | Uint8Array) => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

/** What `attestd policy check --sarif` prints for texts, and where it breaks the schema. */
async function checked(texts: readonly (string | Uint8Array)[]) {
  const files = texts.map((text, at) => file(`${at} ä%.policy`, text))
  const { out } = await runInProcess(policyCommand, 'check', '--sarif', ...files)
  const log = JSON.parse(out)
  isValid(log)
  return { log, errors: isValid.errors ?? [] }
}

const section = (rules: string) => `version=1.2;\nauthorizationrules {\n${rules}\n};\n`

describe('logs in SARIF 2.1.0', () => {
  it.each<readonly [string, readonly string[], number]>([
    [
      'of a policy without findings',
      [section('[type=="attestation.simulated", value==true, issuer=="AttestationService"] => deny();')],
      0,
    ],
    ['of errors', ['', '{', 'version=1.0;', section('[type="a"] => permit()')], 4],
    [
      'of lints of every severity',
      [
        section(
          '=> permit(); // => deny();\nc:[type=="tdx.advisory_ids"] => add(type="a", value=AppendString(c.value, "{x}"));',
        ),
      ],
      3,
    ],
    [
      'of places at the end of lines and of the text',
      [section('// a\r// b\u202e'), 'version=1.2;\r\nauthorizationrules {'],
      3,
    ],
  ])('%s keep to the schema', async (_, texts, least) => {
    const { log, errors } = await checked(texts)
    expect(errors).toEqual([])
    expect(log.runs[0].results.length).toBeGreaterThanOrEqual(least)
  })

  it.skipIf(!haveVectors)('of the recorded policies keep to the schema', async () => {
    const { log, errors } = await checked(policyCases().map(policyBytes))
    expect(errors).toEqual([])
    expect(log.runs[0].results.length).toBeGreaterThan(150)
  })

  it('are judged by a schema that refuses what is no log', async () => {
    const { log } = await checked([''])
    const [run] = log.runs
    expect(isValid({ ...log, version: '2.0.0' })).toBe(false)
    expect(isValid({ ...log, runs: [{ ...run, tool: {} }] })).toBe(false)
    const [result] = run.results
    expect(isValid({ ...log, runs: [{ ...run, results: [{ ...result, level: 'info' }] }] })).toBe(false)
    expect(isValid({ ...log, runs: [{ ...run, results: [{ ...result, message: {} }] }] })).toBe(false)
  })
})
