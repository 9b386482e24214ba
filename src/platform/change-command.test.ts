import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loadLibc, socketConstants } from '../../native/libc.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { type ChangeCommand, mayChangeUser, runChangeCommand } from './change-command.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-command-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const libc = loadLibc()
const quiet = () => new AbortController().signal
const command = (script: string, change: Partial<ChangeCommand> = {}): ChangeCommand => ({
  argv: ['/bin/sh', '-c', script],
  user: null,
  timeoutMs: 30_000,
  environment: { PATH: '/usr/bin:/bin' },
  ...change,
})
const run = (script: string, change: Partial<ChangeCommand> = {}, clock = new FakeClock()) =>
  runChangeCommand(command(script, change), { clock, libc }, quiet())

async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 20_000; !holds() && performance.now() < end; ) {
    await new Promise((wake) => setTimeout(wake, 5))
  }
  expect(holds()).toBe(true)
}

const runs = (pid: string) =>
  existsSync(`/proc/${pid}`) && !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))

describe('a command after a change', () => {
  it('gets its arguments as they are: no shell looks at them', async () => {
    const { output } = await run('', { argv: ['/bin/echo', '$HOME', '; id', '`id`', "a'b"] })
    expect(output).toBe("$HOME ; id `id` a'b")
  })

  it('has the environment that it is given and nothing of ours', async () => {
    process.env['ATTESTD_TEST_SECRET'] = 'mine'
    const { output } = await run('', { argv: ['/usr/bin/env'], environment: { ATTESTD_SINK: 'x' } })
    delete process.env['ATTESTD_TEST_SECRET']
    expect(output).toBe('ATTESTD_SINK=x')
  })

  it('has no input, and no descriptor of ours beside its output', async () => {
    const mine = openSync('/etc/passwd', 'r')
    const { output } = await run('cat; ls -l /proc/self/fd')
    closeSync(mine)
    expect(output).toContain('/dev/null')
    expect(output).not.toContain('/etc/passwd')
  })

  it('has no descriptor that a C library opened, as those of the TPM open it', async () => {
    const { value: fd } = libc.socket(socketConstants.AF_UNIX, socketConstants.SOCK_STREAM, 0)
    const look = `test -e /proc/self/fd/${fd} && echo inherited; echo looked`
    expect(spawnSync('/bin/sh', ['-c', look], { encoding: 'utf8' }).stdout).toBe('inherited\nlooked\n')
    const { output } = await run(look)
    libc.close(fd)
    expect(output).toBe('looked')
  })

  it.each([
    ['exit 0', 'done', 'exit 0'],
    ['exit 7', 'failed', 'exit 7'],
    ['kill -TERM $$', 'failed', 'SIGTERM'],
  ])('that ends by `%s` is %s', async (script, result, how) => {
    expect(await run(script)).toMatchObject({ result, how })
  })

  it.each([
    ['/nonexistent', 'ENOENT'],
    ['/etc/passwd', 'EACCES'],
    ['/bin/a\0b', 'ERR_INVALID_ARG_VALUE'],
  ])('that is %s does not start', async (program, how) => {
    expect(await run('', { argv: [program] })).toEqual({ result: 'not started', how, output: '' })
  })

  it('is killed with its children when its time is over, and not before', async () => {
    const clock = new FakeClock()
    const pids = join(folder, 'pids')
    const running = run(`sleep 1000 & echo $! $$ > ${pids}; wait`, { timeoutMs: 5_000 }, clock)
    await until(() => existsSync(pids) && readFileSync(pids, 'utf8').trim().includes(' '))
    const started = readFileSync(pids, 'utf8').trim().split(' ')
    await clock.advance(4_999)
    expect(started.map(runs)).toEqual([true, true])
    await clock.advance(1)
    expect(await running).toMatchObject({ result: 'timed out' })
    await until(() => !started.some(runs))
  })

  it('is killed when the agent stops', async () => {
    const stop = new AbortController()
    const running = runChangeCommand(command('sleep 1000'), { clock: new FakeClock(), libc }, stop.signal)
    stop.abort(new Error('stop'))
    expect(await running).toMatchObject({ result: 'failed', how: 'the agent stops' })
  })

  it('does not wait for a child that fled with its output', async () => {
    const clock = new FakeClock()
    const running = run('setsid sleep 1000 & echo $!; exit 3', {}, clock)
    let ended = false
    running.finally(() => {
      ended = true
    })
    while (!ended) {
      await clock.advance(500)
      await new Promise((wake) => setTimeout(wake, 5))
    }
    const { output, how } = await running
    process.kill(Number(output), 'SIGKILL')
    expect(how).toBe('exit 3')
  })

  it('may write as much as it likes: the end of it is kept', async () => {
    const { result, output } = await run('for n in $(seq 1 20000); do echo line $n; done')
    expect(result).toBe('done')
    expect(output.length).toBeLessThanOrEqual(1_100)
    expect(output.endsWith('line 20000')).toBe(true)
  })

  it('that prints a token has it left out, whole or in parts (API-110)', async () => {
    const token = ['eyJhbGciOiJSUzI1NiIsImtpZCI6ImtleS0xIn0', 'x'.repeat(600), 'Abc_-'.repeat(68)].join('.')
    const scripts = [`echo "Bearer ${token}"`, `printf '%s' '${token}${token}'`, `echo 'a ${token}' 1>&2; exit 1`]
    for (const script of scripts) {
      const { output } = await run(script)
      expect(output).not.toMatch(/[A-Za-z0-9_-]{24}/)
      expect(output).toContain('…')
    }
  })

  it('writes nothing that a terminal would take for commands', async () => {
    expect((await run('printf "\\033[31mred\\a\\n\\377"')).output).toBe('?[31mred?\n?')
  })
})

describe.skipIf(process.geteuid?.() !== 0)('as another user', () => {
  it('has that user, the first group of it and no others', async () => {
    const { output } = await run('id -u; id -G', { user: { uid: 65_534, gid: 65_533 } })
    expect(output).toBe('65534\n65533')
  })

  it('is possible for this process', async () => {
    expect(await mayChangeUser()).toBe(true)
  })
})
