import { chmodSync, chownSync } from 'node:fs'
import { type AgentProcess, audience, callerRule } from '../../support/agent-process.ts'
import { canChooseNumbers, startWithNumber } from '../../support/process-number.ts'
import { startScript, type Told } from '../../support/scripted-caller.ts'
import { eagerHome, startAt } from '../../support/td-agent.ts'
import type { AgentFault, FaultGround } from './agent-fault.ts'
import type { Probe } from './fault.ts'

const socketGroup = 65_530
const [shop, bank] = [30_021, 30_022]
const shopName = 'https://shop.example'
const words = `SHOP, BANK, SHOP_NAME = ${shop}, ${bank}, ${JSON.stringify(shopName)}\n`

/** A child that has the connection of its parent, and says what it gets when that has gone. */
const heir = `
parent = os.getpid()
def heir():
    until_orphan(parent)
    say(0)
    wait_word()
    say(LAST)
`
const connected = 'as_user(SHOP)\nconnection = connect()\n'
const orphaned = (last: string) => heir.replace('LAST', last)
const leave = 'in_child(heir)\nos._exit(0)\n'

const given: Told = { status: 200, says: shopName }
const gone: Told = { status: 401, says: 'caller_gone' }
const changed: Told = { status: 401, says: 'caller_changed' }

/** What was said, and what may be said; a token beyond that went to somebody else. */
function judge(probe: Probe, what: string, told: Told, expected: Told): void {
  probe.answers++
  if (told.status === 200 && expected.status !== 200) probe.wrong++
  probe.expect(told.status === expected.status && told.says === expected.says, `${what}: ${told.status} ${told.says}`)
}

type Start = (script: string) => ReturnType<typeof startScript>

async function beforeAccept(probe: Probe, agent: AgentProcess, start: Start): Promise<void> {
  agent.signal('SIGSTOP')
  try {
    const caller = start(`${connected}${orphaned('receive(connection)')}send(connection, SHOP_NAME)\n${leave}`)
    await caller.said()
    await caller.exited
    agent.signal('SIGCONT')
    caller.tell()
    judge(probe, 'dead before accept', await caller.said(), gone)
  } finally {
    agent.signal('SIGCONT')
  }
}

async function whileWaiting(probe: Probe, agent: AgentProcess, start: Start, ground: FaultGround): Promise<void> {
  ground.machine.kernel.files.quoteDelayMs = 2_000
  try {
    const ask = "send(connection, SHOP_NAME + '&fresh=true')\nwait_word()\n"
    const caller = start(`${connected}${orphaned('receive(connection)')}${ask}${leave}`)
    await agent.until(async () => (await agent.status()).broker.flights > 0, 'the quote is under way')
    caller.tell()
    await caller.said()
    await caller.exited
    caller.tell()
    judge(probe, 'dead while it waited', await caller.said(), gone)
  } finally {
    ground.machine.kernel.files.quoteDelayMs = 0
  }
}

/** A child of another user has the connection, by inheritance or by a message: it speaks for who connected while that lives. */
async function handedOn(probe: Probe, start: Start, passed: boolean): Promise<void> {
  const child = `
def other():
    as_user(BANK)
    ${passed ? 'borrowed = take_over(channel)' : 'borrowed = connection'}
    say(ask(borrowed, SHOP_NAME))
    channel.send(b'x')
    until_orphan(parent)
    say(ask(borrowed, SHOP_NAME))
`
  const hand = passed ? 'pass_on(near, connection)\nconnection.close()\n' : ''
  const channel = 'near, channel = socket.socketpair()\nparent = os.getpid()\n'
  const order = passed ? `in_child(other)\n${connected}` : `${connected}in_child(other)\n`
  const caller = start(`${channel}${child}${order}${hand}near.recv(1)\nos._exit(0)\n`)
  const what = passed ? 'a passed descriptor' : 'an inherited connection'
  judge(probe, `${what}, its owner lives`, await caller.said(), given)
  judge(probe, `${what}, its owner is dead`, await caller.said(), gone)
}

async function reused(probe: Probe, start: Start, uid: number): Promise<void> {
  const first = `${connected}${orphaned('ask(connection, SHOP_NAME)')}say(ask(connection, SHOP_NAME))\n`
  const caller = start(`${first}${leave}`)
  judge(probe, 'before the number is reused', await caller.said(), given)
  await caller.said()
  await caller.exited
  const other = await startWithNumber(caller.pid, uid)
  try {
    caller.tell()
    judge(probe, `the number is reused by ${uid}`, await caller.said(), gone)
  } finally {
    other.kill('SIGKILL')
  }
}

async function anotherUser(probe: Probe, start: Start): Promise<void> {
  const caller = start(`${connected}say(ask(connection, SHOP_NAME))\nas_user(BANK)\nsay(ask(connection, SHOP_NAME))\n`)
  judge(probe, 'before the change of user', await caller.said(), given)
  judge(probe, 'after the change of user', await caller.said(), changed)
}

async function callers(probe: Probe, ground: FaultGround): Promise<void> {
  const rules = [callerRule('root', 'uid = 0', [audience]), callerRule('shop', `uid = ${shop}`, [shopName])]
  const home = eagerHome(ground.folder, ground.machine, { rules })
  chownSync(home.folder, 0, socketGroup)
  chmodSync(home.folder, 0o2755)
  const agent = await startAt(home)
  try {
    const start: Start = (script) => startScript(home.path('api.sock'), socketGroup, words + script)
    await handedOn(probe, start, false)
    await handedOn(probe, start, true)
    await beforeAccept(probe, agent, start)
    await whileWaiting(probe, agent, start, ground)
    await anotherUser(probe, start)
    probe.expect(canChooseNumbers(), 'numbers of processes cannot be chosen here')
    for (const uid of [shop, bank]) await reused(probe, start, uid)
    probe.expect((await agent.askToken()).status === 200, 'another caller is served no more')
  } finally {
    if (agent.running) await agent.kill()
  }
}

export const callerFaults: readonly AgentFault[] = [
  {
    id: 'F26',
    slow: true,
    fault: 'caller dies before accept, while waiting, child keeps the socket, descriptor passed, pid reused, setuid',
    done: 'real processes of other users: the connection has the rights of who connected, while that one lives and stays who it is; whoever else holds it is told 401 and gets no token',
    notRun: 'exec, zombies, user namespaces: test/e2e/caller-attacks.test.ts',
    run: callers,
  },
]
