import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { runAttestd } from '../support/run-command.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-reference-command-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('attestd reference in a pipe', () => {
  it('learns on standard output what it checks from standard input', async () => {
    writeFileSync(join(folder, 'a'), 'A')
    const learned = await runAttestd(['reference', 'learn', 'tree', folder])
    expect(learned).toMatchObject({ code: 0, err: expect.stringContaining('learned 1 file\n') })
    const checked = await runAttestd(['reference', 'check', '-', '--strict'], { input: learned.out })
    expect(checked).toMatchObject({ code: 0, err: '' })
    expect(checked.out).toContain('1 file\n')
  })

  it('writes a file that others can read, and leaves nothing beside it', async () => {
    const output = join(folder, 'out.jsonl')
    const { code } = await runAttestd(['reference', 'learn', 'tree', join(folder, '.'), '-o', output])
    expect(code).toBe(0)
    expect(statSync(output).mode & 0o777).toBe(0o644)
  })

  it('refuses a document with line and column, as exit code and as JSON', async () => {
    const input = '{"format":"attestd.reference-values","version":1,"name":"x"}\n{"file":"/a"}\n'
    const { code, out, err } = await runAttestd(['reference', 'check', '-', '--json'], { input })
    expect({ code, out }).toEqual({ code: 65, out: '' })
    const { error } = JSON.parse(err)
    expect(error).toMatchObject({ code: 'MALFORMED', detail: 'standard input: has no digest (line 2, column 1)' })
  })
})
