import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { processClock } from '../../src/client/process-clock.ts'
import { runAttestd, runCommand } from '../support/run-command.ts'
import { openRoom, policyFrom } from '../support/workload-room.ts'

/** The examples of docs/workloads.md, run as they stand there. */

const page = readFileSync(resolve(import.meta.dirname, '../../docs/workloads.md'), 'utf8')
const client = resolve(import.meta.dirname, '../../dist/src/client/index.js')
const audience = 'https://payments.example'
const clock = { ...processClock, boottime: () => performance.now() }
const rule = { id: 'payments', match: { uid: 1001 }, allow: { methods: ['token', 'explain'], audiences: [audience] } }

function example(language: string): string {
  const text = new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'ms').exec(page)?.[1]
  if (text === undefined) throw new Error(`the page has no example in ${language}`)
  return text
}

const there = async (tool: string) => {
  try {
    return (await runCommand(tool, [tool === 'go' ? 'version' : '--version'])).code === 0
  } catch {
    return false
  }
}
const tools = { curl: await there('curl'), python3: await there('python3'), go: await there('go') }

describe('an example of docs/workloads.md', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'attestd-page-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  const written = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const room = async (rules: readonly object[] = [rule]) => {
    const opened = await openRoom({ clock, policy: policyFrom(rules) })
    const environment = { ATTESTD_SOCKET: opened.path }
    return {
      ...opened,
      environment,
      token: opened.provider.tokenFor({ audience: [audience], nonces: [] } as never).token,
    }
  }

  it('in JavaScript gives a token', async () => {
    const { environment } = await room()
    const text = example('js').replace("'attestd/client'", JSON.stringify(client))
    const run = await runCommand(process.execPath, [written('example.mjs', text)], { environment })
    expect([run.out, run.err, run.code]).toEqual(['3 true\n', '', 0])
  })

  it.skipIf(!tools.curl)('for the shell gives a token, or the problem', async () => {
    const { environment, token } = await room()
    const run = await runCommand('sh', [written('example.sh', example('sh'))], { environment })
    expect([run.out, run.err, run.code]).toEqual([token, '', 0])
    const denied = await room([{ ...rule, match: { uid: 1 } }])
    const failed = await runCommand('sh', [join(folder, 'example.sh')], { environment: denied.environment })
    expect([JSON.parse(failed.out).code, failed.code]).toEqual(['policy_denied', 22])
  })

  it.skipIf(!tools.python3)('in Python gives a token, or the problem', async () => {
    const { environment, token } = await room()
    const run = await runCommand('python3', [written('example.py', example('python'))], { environment })
    expect([run.out, run.err, run.code]).toEqual([token, '', 0])
    const denied = await room([{ ...rule, match: { uid: 1 } }])
    const failed = await runCommand('python3', [join(folder, 'example.py')], { environment: denied.environment })
    expect(failed.err).toContain('RuntimeError: policy_denied: ')
  })

  it.skipIf(!tools.go)('in Go gives a token', async () => {
    const { environment, token } = await room()
    const run = await runCommand('go', ['run', written('example.go', example('go'))], {
      environment: { ...environment, HOME: folder, GOFLAGS: '-mod=mod' },
    })
    expect([run.out, run.code]).toEqual([token, 0])
  })

  it('and the command agree', async () => {
    const { environment, token } = await room()
    const { out, code } = await runAttestd(['token', '--audience', audience], { environment })
    expect([out, code]).toEqual([token, 0])
  })

  it('names every option and every code that the client has', () => {
    const wish = readFileSync(resolve(import.meta.dirname, '../../src/client/token-wish.ts'), 'utf8')
    const options = [...wish.matchAll(/^ {2}readonly (\w+)\?:/gm)].map(([, name]) => `\`${name}\``)
    expect(options.length).toBeGreaterThan(8)
    expect(options.filter((name) => !page.includes(name))).toEqual([])
  })
})
