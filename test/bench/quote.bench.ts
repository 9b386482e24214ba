import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execute } from '../../mocks/swtpm/execute.ts'
import { simulateFirmware } from '../../mocks/swtpm/measured-boot.ts'
import { simulateIma } from '../../mocks/swtpm/measured-files.ts'
import { provisionSwtpm } from '../../mocks/swtpm/provision.ts'
import { type RunningSwtpm, startSwtpm } from '../../mocks/swtpm/swtpm.ts'
import { loadTctildr } from '../../native/tctildr.ts'
import { encodeKeptKey } from '../../src/attester/tpm/attestation-key.ts'
import { TpmDialogue } from '../../src/attester/tpm/dialogue.ts'
import { createTpmAttester, type TpmAttester } from '../../src/attester/tpm/tpm-attester.ts'
import { TpmKeys } from '../../src/attester/tpm/tpm-keys.ts'
import { toHex } from '../../src/base/bytes.ts'
import { hashAlgorithms } from '../../src/evidence/tpm/algorithms.ts'
import { encodeCommand, passwordSession } from '../../src/evidence/tpm/command-codec.ts'
import { tpm2 } from '../../src/evidence/tpm/commands.ts'
import type { TpmEvidence } from '../../src/evidence/tpm/evidence.ts'
import { ImaLogFile } from '../../src/platform/ima-log-file.ts'
import { readEventLog } from '../../src/platform/log-files.ts'
import { SystemClock } from '../../src/platform/system-clock.ts'
import { TpmConnection } from '../../src/platform/tpm-connection.ts'
import { planTpm } from '../../src/platform/tpm-plan.ts'
import { type Contender, compare, comparison, milliseconds, printTable } from '../support/comparison.ts'
import { haveSwtpm } from '../support/swtpm.ts'

const pcrs = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14]
const random = (size: number) => new Uint8Array(randomBytes(size))
const clock = new SystemClock(null)
const haveTools = spawnSync('tpm2_quote', ['--version']).status === 0

function haveTctildr(): boolean {
  try {
    return loadTctildr() !== undefined
  } catch {
    return false
  }
}

/** A started simulator that has measured a boot, with the logs of it. Each client has one of its own. */
interface Machine extends AsyncDisposable {
  readonly tpm: RunningSwtpm
  readonly eventLog: string
  readonly imaLog: string
}

async function bootMachine(folder: string, template: string): Promise<Machine> {
  const stateDirectory = join(folder, 'state')
  cpSync(template, stateDirectory, { recursive: true })
  const tpm = await startSwtpm({ stateDirectory })
  const [eventLog, imaLog] = [join(folder, 'eventlog'), join(folder, 'ima')]
  await using client = await tpm.connect()
  writeFileSync(eventLog, (await simulateFirmware(client.send)).eventLog)
  writeFileSync(imaLog, (await simulateIma(client.send)).log())
  return { tpm, eventLog, imaLog, [Symbol.asyncDispose]: () => tpm.stop() }
}

function openConnection({ tpm }: Machine, transport: 'swtpm' | 'tcti'): TpmConnection {
  const plan = planTpm({ tcti: tpm.tcti, transport, simulator: true, allowTcti: [] })
  return new TpmConnection({ plan, clock, random, timeoutMs: 10_000 })
}

interface Attesting extends AsyncDisposable {
  /** As the agent asks for it: what is to be quoted has been settled before. */
  readonly collect: (logs: boolean) => Promise<TpmEvidence>
  /** The bare command of a quote, with the same key on the same connection. */
  readonly quote: () => Promise<Uint8Array>
  readonly commands: () => number
}

/** An attester on `connection`, whose key is loaded a second time beside it for bare commands. */
async function openAttester(machine: Machine, connection: TpmConnection): Promise<Attesting> {
  const keys = new TpmKeys({ ek: { template: 'rsa-2048' }, scheme: 'ecdsa-p256', random })
  const loading = new TpmDialogue(connection, clock, new AbortController().signal)
  const { ek, ak, kept } = await keys.loadBoth(loading, null)
  await loading.release(ek.handle)
  let commands = 0
  const counted = {
    kind: connection.kind,
    simulated: connection.simulated,
    get generation() {
      return connection.generation
    },
    send: (command: Uint8Array) => {
      commands++
      return connection.send(command)
    },
    [Symbol.asyncDispose]: async () => {},
  }
  const imaLog = new ImaLogFile({ path: machine.imaLog })
  const attester = createTpmAttester({
    connect: async () => counted,
    keyStore: { load: async () => encodeKeptKey(kept), save: async () => {} },
    clock,
    random,
    pcrs,
    readEventLog: () => readEventLog(machine.eventLog),
    readImaLog: (from) => imaLog.readFrom(from),
  })
  const selection = await attester.selection()
  const quote = () => counted.send(bareQuote(ak.handle, selection))
  const collect = (logs: boolean) =>
    attester.collect(random(32), { selection, eventLog: logs, imaFrom: logs ? 0 : null })
  return { collect, quote, commands: () => commands, [Symbol.asyncDispose]: () => imaLog.close() }
}

function bareQuote(key: number, banks: Awaited<ReturnType<TpmAttester['selection']>>): Uint8Array {
  const selection = banks.map(({ hash, pcrs: selected }) => ({ hash: hashAlgorithms[hash].id, pcrs: selected }))
  const request = { key, qualifyingData: random(32), scheme: { algorithm: 'null' as const }, selection }
  return encodeCommand(tpm2.quote, request, [passwordSession])
}

/** `tpm2_quote` with a persistent key of the same kind, as a process of its own for each quote. */
function toolQuote({ tpm }: Machine, folder: string): Contender {
  const env = { ...process.env, TPM2TOOLS_TCTI: tpm.tcti }
  const tool = (name: string, ...args: string[]) => execFileSync(name, args, { env, stdio: 'pipe', cwd: folder })
  const attributes = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|sign'
  const [handle, algorithm] = ['0x81000100', 'ecc256:ecdsa-sha256:null']
  tool('tpm2_createprimary', '-C', 'o', '-g', 'sha256', '-G', algorithm, '-a', attributes, '-c', 'ak.ctx')
  tool('tpm2_evictcontrol', '-C', 'o', '-c', 'ak.ctx', handle)
  const args = [
    '-c',
    handle,
    '-l',
    `sha256:${pcrs.join(',')}+sha384:${pcrs.join(',')}`,
    '-m',
    'attest',
    '-s',
    'signature',
    '-o',
    'pcrs',
  ]
  return {
    name: 'tpm2_quote (process)',
    role: 'peer',
    run: () => tool('tpm2_quote', ...args, '-q', toHex(random(32))),
    every: 5,
  }
}

/** CPU time of the thread that runs the event loop, in milliseconds: what else runs on the machine does not count. */
function mainThreadMs(): number {
  const [nanoseconds] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'ascii').split(' ')
  return Number(nanoseconds) / 1e6
}

/** What one command costs the event loop: the TPM may take its time, the loop must not. */
async function printLoopShare(transport: string, attesting: Attesting): Promise<void> {
  const { collect, quote, commands } = attesting
  const share = async (name: string, run: () => Promise<unknown>) => {
    const rounds = 200
    const [cpu, sent, start] = [mainThreadMs(), commands(), performance.now()]
    for (let round = 0; round < rounds; round++) await run()
    const [busy, elapsed] = [mainThreadMs() - cpu, performance.now() - start]
    const each = busy / (commands() - sent)
    const perRun = ((commands() - sent) / rounds).toFixed(0)
    return [name, perRun, milliseconds(each), milliseconds(busy / rounds), `${((100 * busy) / elapsed).toFixed(0)} %`]
  }
  const rows = [
    ['', 'commands', 'CPU a command', 'CPU in all', 'of the time'],
    await share('TPM2_Quote', quote),
    await share('collect', () => collect(true)),
  ]
  printTable(`the event loop's thread, transport ${transport}`, rows)
}

async function compareQuotes(transport: 'swtpm' | 'tcti'): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-bench-'))
  try {
    const { stateDirectory } = await provisionSwtpm({ folder: join(folder, 'maker') })
    await using ours = await bootMachine(join(folder, 'ours'), stateDirectory)
    await using theirs = await bootMachine(join(folder, 'theirs'), stateDirectory)
    await using connection = openConnection(ours, transport)
    await using attesting = await openAttester(ours, connection)
    const { collect, quote } = attesting
    const evidence = await collect(true)
    const logs = `event log ${evidence.eventLog?.length} bytes, IMA log ${evidence.ima?.data.length} bytes`
    const selection = [{ hash: 0x000b, pcrs: pcrs.slice(0, 8) }]
    await compare(
      `evidence over ${transport}: P-256 quote of ${pcrs.length} PCRs in ${evidence.quotes[0]?.pcrs.size} banks; ${logs}`,
      [
        { name: 'TPM2_Quote on the same connection', role: 'floor', run: quote },
        ...(haveTools ? [toolQuote(theirs, folder)] : []),
        { name: 'PCR_Read', role: 'ours', run: () => execute(connection.send, tpm2.pcrRead, { selection }) },
        { name: 'collect, no logs', role: 'ours', run: () => collect(false) },
        { name: 'collect', role: 'ours', run: () => collect(true) },
      ],
    )
    await printLoopShare(transport, attesting)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

comparison('evidence over a direct socket', () => compareQuotes('swtpm'), haveSwtpm)
comparison('evidence over the TCTI library', () => compareQuotes('tcti'), haveSwtpm && haveTctildr())
