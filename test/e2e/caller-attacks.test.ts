import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { AgentHome, AgentProcess, audience, callerRule } from '../support/agent-process.ts'
import { canMakeControlGroups, makeControlGroup } from '../support/control-group.ts'
import { canChooseNumbers, startWithNumber } from '../support/process-number.ts'
import { haveScripts, startScript, type Told } from '../support/scripted-caller.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'
import { canChangeUser } from '../support/unix-caller.ts'
import { canMakeUserNamespaces } from '../support/user-namespace.ts'

/** Processes that would like to have the token of another user, group or unit, against the agent as it is shipped. */

const socketGroup = 65_530
const [shop, bank, team] = [30_011, 30_012, 30_013]
const [shopName, bankName, teamName, unitName, anyName] = ['shop', 'bank', 'team', 'unit', 'any'].map(
  (name) => `https://${name}.example`,
) as [string, string, string, string, string]

const names = `SHOP, BANK, TEAM = ${shop}, ${bank}, ${team}
SHOP_NAME, BANK_NAME, TEAM_NAME, UNIT_NAME, ANY_NAME, ROOT_NAME = ${JSON.stringify([shopName, bankName, teamName, unitName, anyName, audience])}
`
const rules = [
  callerRule('root', 'uid = 0', [audience]),
  callerRule('shop', `uid = ${shop}`, [shopName]),
  callerRule('bank', `uid = ${bank}`, [bankName]),
  callerRule('team', `gid = ${team}`, [teamName]),
  callerRule('unit', 'unit = "payments.service"', [unitName]),
  callerRule('any', 'listener = "api"', [anyName]),
]

const token = (name: string): Told => ({ status: 200, says: name })
const denied: Told = { status: 403, says: 'policy_denied' }
const unidentified: Told = { status: 403, says: 'caller_unidentified' }
const gone: Told = { status: 401, says: 'caller_gone' }
const changed: Told = { status: 401, says: 'caller_changed' }

interface InGroup {
  /** Into which it goes when it has said something. */
  readonly later?: string
  /** The agent that it asks. */
  readonly of?: AgentProcess
}

/** A process that sees no process of other users: its /proc hides them from all groups but one, and it has not the right to look behind. */
const hidingProcesses = [
  ...['unshare', '--mount', 'sh', '-c'],
  'mount -t proc -o hidepid=2,gid=65531 proc /proc && exec setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace "$@"',
  'sh',
]

/** True where a process can be given a /proc of its own. */
function canHideProcesses(): boolean {
  const [command = '', ...args] = [...hidingProcesses, 'true']
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

/** A process of another test may take the number first, and keep it: then once more, with another number. */
const contended = { retry: 4 }

const possible = haveSwtpm && canChangeUser && haveScripts

describe.skipIf(!possible)('a process that would like to be another', () => {
  const { machine, folder } = useTpmMachine()
  let agent: AgentProcess

  beforeAll(async () => {
    agent = await startOpen('agent')
  })
  afterAll(() => agent?.stop())

  async function startOpen(name: string, wrapper: readonly string[] = []): Promise<AgentProcess> {
    const home = new AgentHome(join(folder, name), machine(), { rules })
    chownSync(home.folder, 0, socketGroup)
    chmodSync(home.folder, 0o2755)
    return AgentProcess.start(home, { wrapper })
  }

  const start = (script: string, of = agent) => startScript(of.home.path('api.sock'), socketGroup, names + script)

  async function saidBy(script: string, count: number, of = agent): Promise<Told[]> {
    const caller = start(script, of)
    const said: Told[] = []
    while (said.length < count) said.push(await caller.said())
    return said
  }

  /** A child of another user has the connection, and asks: for its own token, for that of its parent, and after its end. */
  const borrowed = `
    say(ask(connection, BANK_NAME))
    say(ask(connection, SHOP_NAME))
    channel.send(b'x')
    until_orphan(parent)
    say(ask(connection, SHOP_NAME))`
  const connector = `
in_child(other)
as_user(SHOP)
`

  it('by an inherited connection has the rights of who connected, and only while it lives (API-47)', async () => {
    const script = `
near, channel = socket.socketpair()
parent = os.getpid()
as_user(SHOP)
connection = connect()
def other():
    as_user(BANK)${borrowed}
in_child(other)
near.recv(1)
os._exit(0)`
    expect(await saidBy(script, 3)).toEqual([denied, token(shopName), gone])
  })

  it('by a descriptor in a message has the rights of who connected, and only while it lives (API-47)', async () => {
    const script = `
near, channel = socket.socketpair()
parent = os.getpid()
def other():
    as_user(BANK)
    connection = take_over(channel)${borrowed}
${connector}
passed = connect()
pass_on(near, passed)
passed.close()
near.recv(1)
os._exit(0)`
    expect(await saidBy(script, 3)).toEqual([denied, token(shopName), gone])
  })

  it('by a change of user loses the connection, whichever token it asks for (API-46)', async () => {
    const script = `
for wanted in [SHOP_NAME, BANK_NAME, ROOT_NAME, ANY_NAME]:
    as_user(SHOP)
    connection = connect()
    say(ask(connection, SHOP_NAME))
    as_user(BANK)
    say(ask(connection, wanted))
connection = connect()
os.seteuid(0)
say(ask(connection, ROOT_NAME))`
    const once = [token(shopName), changed]
    expect(await saidBy(script, 9)).toEqual([...once, ...once, ...once, ...once, changed])
  })

  it.each<[string, number | null, Told]>([
    ['of its own user keeps the connection', null, token(shopName)],
    ['of another user loses the connection', bank, changed],
    ['of root loses the connection', 0, changed],
  ])('by an exec of a program %s (API-46)', async (_what, owner, told) => {
    const program = join(folder, `cat-${owner}`)
    copyFileSync('/bin/cat', program)
    if (owner !== null) chownSync(program, owner, owner)
    chmodSync(program, owner === null ? 0o755 : 0o4755)
    const script = `
as_user(SHOP)
connection = connect()
say(ask(connection, SHOP_NAME))
in_child(lambda: say(receive(connection)))
reading, writing = os.pipe()
os.write(writing, b'GET /v1/token?audience=' + SHOP_NAME.encode() + b' HTTP/1.1\\r\\n\\r\\n')
os.set_inheritable(writing, True)
os.dup2(reading, 0)
os.dup2(connection.fileno(), 1)
os.execv(${JSON.stringify(program)}, ['cat'])`
    expect(await saidBy(script, 2)).toEqual([token(shopName), told])
  })

  it('as a zombie whose files are still there is gone (API-45)', async () => {
    const script = `
def connector():
    as_user(SHOP)
    connection = connect()
    say(ask(connection, SHOP_NAME))
    pid = os.getpid()
    def heir():
        until_orphan(pid)
        state = open('/proc/%d/stat' % pid).read().rsplit(')', 1)[1].split()[0]
        say(ask(connection, SHOP_NAME))
        say({'status': 0, 'says': state})
    in_child(heir)
in_child(connector)
wait_word()`
    expect(await saidBy(script, 3)).toEqual([token(shopName), gone, { status: 0, says: 'Z' }])
  })

  describe.skipIf(!canChooseNumbers())('with the number of another', () => {
    /** Says when a child waits with the connection alone; the child asks at a word. */
    const leaving = `
def heir():
    until_orphan(parent)
    say(0)
    wait_word()
    say(ask(connection, SHOP_NAME) if waits else receive(connection))
parent = os.getpid()
as_user(SHOP)
connection = connect()
`

    it.each([shop, bank])('is not taken for it on its connection (to uid %i)', contended, async (uid) => {
      const caller = start(`${leaving}waits = True
say(ask(connection, SHOP_NAME))
in_child(heir)
os._exit(0)`)
      expect(await caller.said()).toEqual(token(shopName))
      await caller.said()
      await caller.exited
      const other = await startWithNumber(caller.pid, uid)
      onTestFinished(() => void other.kill('SIGKILL'))
      caller.tell()
      expect(await caller.said()).toEqual(gone)
    })

    it.each([null, shop, bank])(
      'that was dead before the agent looked gets nothing (reused by %s)',
      contended,
      async (uid) => {
        agent.signal('SIGSTOP')
        onTestFinished(() => agent.signal('SIGCONT'))
        const caller = start(`${leaving}waits = False
send(connection, SHOP_NAME)
in_child(heir)
os._exit(0)`)
        await caller.said()
        await caller.exited
        const other = uid === null ? null : await startWithNumber(caller.pid, uid)
        onTestFinished(() => void other?.kill('SIGKILL'))
        agent.signal('SIGCONT')
        caller.tell()
        expect(await caller.said()).toEqual(gone)
      },
    )
  })

  it('in a group has its token, primary or supplementary, and not when it joins later (API-40, API-52)', async () => {
    const script = `
as_user(BANK, ${socketGroup}, TEAM)
say(ask(connect(), TEAM_NAME))
as_user(BANK)
connection = connect()
say(ask(connection, TEAM_NAME))
as_user(BANK, ${socketGroup}, TEAM)
say(ask(connection, TEAM_NAME))
as_user(BANK)
os.seteuid(0)
os.setresgid(TEAM, TEAM, TEAM)
os.seteuid(BANK)
say(ask(connect(), TEAM_NAME))`
    expect(await saidBy(script, 4)).toEqual([token(teamName), denied, denied, token(teamName)])
  })

  it.each(['x) R 1 1 1', 'a\nUid:\t0\t0', ')))) Z 1'])('named %j is what it is (API-44)', async (name) => {
    const script = `
set_name(${JSON.stringify(name)}.encode())
as_user(BANK)
say(ask(connect(), BANK_NAME))
say(ask(connect(), SHOP_NAME))
say(ask(connect(), ROOT_NAME))`
    expect(await saidBy(script, 3)).toEqual([token(bankName), denied, denied])
  })

  it.skipIf(!canMakeUserNamespaces())(
    'as root of a user namespace of its own is who it is outside (API-40)',
    async () => {
      const script = `
as_user(BANK)
os.setresuid(BANK, BANK, BANK)
libc = ctypes.CDLL(None)
libc.prctl(4, 1, 0, 0, 0)
if libc.unshare(0x10000000) != 0:
    raise OSError('unshare')
open('/proc/self/uid_map', 'w').write('0 %d 1' % BANK)
say(os.geteuid())
say(ask(connect(), ROOT_NAME))
say(ask(connect(), BANK_NAME))`
      expect(await saidBy(script, 3)).toEqual([0, denied, token(bankName)])
    },
  )

  it('whose user has no name here is nobody, also for rules about the socket alone (API-49)', async () => {
    const script = `
as_user(65534)
say(ask(connect(), ANY_NAME))
as_user(BANK)
say(ask(connect(), ANY_NAME))`
    expect(await saidBy(script, 2)).toEqual([unidentified, token(anyName)])
  })

  it.skipIf(!canMakeUserNamespaces())(
    'is nobody for an agent in a user namespace that does not map it (API-49)',
    async () => {
      const inside = await startOpen('inside', ['unshare', '--user', '--map-root-user', '--'])
      const script = `
as_user(SHOP)
say(ask(connect(), SHOP_NAME))
say(ask(connect(), ANY_NAME))
os.seteuid(0)
say(ask(connect(), ROOT_NAME))`
      expect(await saidBy(script, 3, inside)).toEqual([unidentified, unidentified, token(audience)])
      await inside.stop()
    },
  )

  describe.skipIf(!canMakeControlGroups())('with the name of a unit', () => {
    /** Says what each of the scripts gets that runs in a control group. */
    async function inGroup(path: string, script: string, { later, of }: InGroup = {}): Promise<Told> {
      const caller = start(`say(0)\nwait_word()\n${script}`, of)
      await caller.said()
      const groups = [makeControlGroup(path)]
      groups[0]?.take(caller.pid)
      onTestFinished(async () => {
        await caller.exited
        for (const group of groups.reverse()) await expect.poll(() => removed(group)).toBe(true)
      })
      caller.tell()
      if (later !== undefined) {
        await caller.said()
        groups.push(makeControlGroup(later))
        groups[1]?.take(caller.pid)
        caller.tell()
      }
      return caller.said()
    }
    const removed = (group: { remove(): void }) => {
      try {
        group.remove()
        return true
      } catch {
        return false
      }
    }
    const asBank = 'as_user(BANK)\nsay(ask(connect(), UNIT_NAME))'

    it.each<[string, Told]>([
      ['attestd-test.slice/payments.service', token(unitName)],
      ['attestd-test.slice/payments.service/below', token(unitName)],
      [`attestd-test.slice/user@${bank}.service/app.slice/payments.service`, denied],
      [`attestd-test.slice/docker-${'c0'.repeat(32)}.scope/system.slice/payments.service`, denied],
      ['attestd-test.slice/xpayments.service', denied],
      ['attestd-test/payments.service', denied],
    ])('in %s (API-50, API-51)', async (path, told) => {
      expect(await inGroup(path, asBank)).toEqual(told)
    })

    it('root has no rights of a unit: it can go into any (API-53)', async () => {
      expect(await inGroup('attestd-test.slice/payments.service', 'say(ask(connect(), UNIT_NAME))')).toEqual(denied)
    })

    it.skipIf(!canHideProcesses())(
      'that the agent cannot see is in no unit, and keeps the rights of its user (API-56)',
      async () => {
        const of = await startOpen('blind', hidingProcesses)
        expect(of.log).toMatch(/\/proc is mounted with hidepid=(?:2|invisible)/)
        const asked = (name: string) => `as_user(BANK)\nsay(ask(connect(), ${name}))`
        const path = 'attestd-test.slice/payments.service'
        expect(await inGroup(path, asked('UNIT_NAME'), { of })).toEqual(denied)
        expect(await inGroup(path, asked('BANK_NAME'), { of })).toEqual(token(bankName))
        await of.stop()
      },
    )

    it('a process that goes into the unit later stays what it was when it connected', async () => {
      const script = `as_user(BANK)
connection = connect()
say(ask(connection, UNIT_NAME))
wait_word()
say(ask(connection, UNIT_NAME))`
      const [first, second] = ['attestd-test.slice/session-1.scope', 'attestd-test.slice/payments.service']
      expect(await inGroup(first, script, { later: second })).toEqual(denied)
    })
  })

  it('has left neither a descriptor nor a broken line in the log, and the agent is well', async () => {
    const { status, body } = await agent.askToken()
    expect([status, body.split('.').length]).toEqual([200, 3])
    for (const line of agent.log.trim().split('\n')) expect(() => JSON.parse(line)).not.toThrow()
    expect(agent.running).toBe(true)
  })
})
