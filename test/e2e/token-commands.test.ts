import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { partOf } from '../support/agent-process.ts'
import { builtProgram } from '../support/built-program.ts'
import { useCloudAgent } from '../support/cloud-agent.ts'
import { runAttestd } from '../support/run-command.ts'
import { haveSwtpm } from '../support/swtpm.ts'

/** `attestd gcp` and `attestd exec` as others call them (API-158, API-162, API-170). */

const audience = 'sigstore'

describe.skipIf(!haveSwtpm)('commands that hand tokens to other programs', () => {
  const cloud = useCloudAgent({ audience })
  const api = () => cloud.agent().home.path('api.sock')
  const gcp = (args: readonly string[], environment: Record<string, string> = {}) =>
    runAttestd(['gcp', '--socket', api(), ...args], { environment })
  const exec = (...args: string[]) => runAttestd(['exec', '--socket', api(), ...args])

  it('gcp prints one object with the token and its end, and nothing else anywhere', async () => {
    const { code, out, err } = await gcp(['--audience', audience])
    expect([code, err]).toEqual([0, ''])
    const { id_token: token, expiration_time: until, ...rest } = JSON.parse(out)
    expect(rest).toEqual({ version: 1, success: true, token_type: 'urn:ietf:params:oauth:token-type:id_token' })
    expect([partOf(token, 'payload')['aud'], partOf(token, 'payload')['exp']]).toEqual([audience, until])
    expect(out).toBe(JSON.stringify(JSON.parse(out)))
  })

  it('gcp takes audience and output file from what the client libraries say', async () => {
    const file = cloud.path('output.json')
    writeFileSync(cloud.path('elsewhere'), 'kept')
    symlinkSync(cloud.path('elsewhere'), file)
    const said = { GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE: audience, GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE: file }
    const { code, out } = await gcp([], said)
    expect([code, readFileSync(file, 'utf8')]).toEqual([0, out])
    // A link is replaced and not followed; nobody else reads the file (BRK-111, BRK-112).
    expect([statSync(file).mode & 0o777, readFileSync(cloud.path('elsewhere'), 'utf8')]).toEqual([0o600, 'kept'])
  })

  it('gcp tells a denial as an object too, leaves the output file as it is, and ends with 1', async () => {
    const file = cloud.place('old.json', '{"version":1}')
    const { code, out, err } = await gcp(['--audience', 'https://nobody.example', '--output-file', file])
    expect([code, err, readFileSync(file, 'utf8')]).toEqual([1, '', '{"version":1}'])
    expect(JSON.parse(out)).toEqual({
      version: 1,
      success: false,
      code: '403',
      message: expect.stringMatching(/^policy_denied: /),
    })
  })

  it('gcp takes an empty output file for none, as client libraries say it', async () => {
    const { code, out } = await gcp(['--audience', audience], { GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE: '' })
    expect([code, JSON.parse(out).success]).toEqual([0, true])
  })

  it('gcp tells an output file that cannot be written', async () => {
    const { code, out, err } = await gcp(['--audience', audience, '--output-file', '/proc/nowhere/x'])
    expect([code, err, JSON.parse(out).success]).toEqual([1, '', false])
    expect(out).not.toContain('eyJ')
  })

  it('gcp is done within 80 % of the time, whatever the agent does', async () => {
    const silent = createServer(() => undefined).listen(cloud.path('silent.sock'))
    await once(silent, 'listening')
    onTestFinished(() => void silent.close())
    const started = performance.now()
    const args = ['gcp', '--audience', audience, '--timeout', '10', '--socket', cloud.path('silent.sock')]
    const { code, out, err } = await runAttestd(args)
    const took = performance.now() - started
    expect([code, err, JSON.parse(out).code]).toEqual([1, '', '503'])
    expect(took).toBeLessThan(10_000)
    expect(took).toBeGreaterThan(4_000)
  })

  it('exec gives its command the token for Sigstore in SIGSTORE_ID_TOKEN', async () => {
    const { code, out, err } = await exec('--', 'sh', '-c', 'printf %s "$SIGSTORE_ID_TOKEN"')
    expect([code, err, partOf(out, 'payload')['aud']]).toEqual([0, '', audience])
  })

  it('exec gives any token in any variable, and leaves the rest of the command to the command', async () => {
    const script = 'printf "%s %s" "$OTHER" "$1"'
    const args = ['--audience', 'https://other.example', '--env', 'OTHER', '--', 'sh', '-c', script, 'sh', '--env']
    const { out } = await exec(...args)
    const [token = '', operand] = out.split(' ')
    expect([partOf(token, 'payload')['aud'], operand]).toEqual(['https://other.example', '--env'])
  })

  it.each([
    ['its own', ['sh', '-c', 'exit 7'], 7],
    ['that of a signal', ['sh', '-c', 'kill -TERM $$'], 143],
    ['127 for what is not there', ['/nowhere/command'], 127],
    ['126 for what cannot be run', ['/etc/passwd'], 126],
  ])('exec ends with the exit code of its command: %s', async (_, command, code) => {
    expect((await exec('--', ...command)).code).toBe(code)
  })

  it('exec runs nothing without a token', async () => {
    const marker = cloud.path('ran')
    const denied = await exec('--audience', 'https://nobody.example', '--', 'touch', marker)
    expect([denied.code, denied.err.includes('policy_denied')]).toEqual([77, true])
    const absent = await runAttestd(['exec', '--socket', cloud.path('nobody.sock'), '--', 'touch', marker])
    expect([absent.code, absent.err.includes('AGENT_NOT_REACHED')]).toEqual([75, true])
    expect((await exec('--env', 'A=B', '--', 'touch', marker)).code).toBe(2)
    expect((await exec('--timeout', '0', '--', 'touch', marker)).code).toBe(2)
    expect((await exec()).code).toBe(2)
    expect(() => statSync(marker)).toThrow('ENOENT')
  })

  it('exec passes signals on and ends as its command does', async () => {
    const script = 'trap "echo got; exit 9" TERM; echo up; for turn in $(seq 400); do sleep 0.05; done'
    const args = [await builtProgram(), 'exec', '--socket', api(), '--', 'sh', '-c', script]
    const child = spawn(process.execPath, args, {
      env: { PATH: process.env['PATH'] },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const closed = once(child, 'close')
    let out = ''
    const up = new Promise<void>((resolve) => {
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        out += text
        if (out.includes('up')) resolve()
      })
    })
    await Promise.race([up, closed])
    child.kill('SIGTERM')
    const [code] = await closed
    expect([code, out]).toEqual([9, 'up\ngot\n'])
  })
})
