import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from './free-port.ts'
import type { DemoMachine } from './machine.ts'

/** The verifier service of the demonstration: the real program with a configuration of its own. */
export interface DemoVerifierService {
  readonly url: string
  /** The policy that decides; `hash`: SHA-256 of its text, as tokens name it. */
  readonly policy: { readonly id: string; readonly hash: string }
  /** What an operator may type to look at it and to change it. */
  readonly commands: readonly string[]
  stop(): Promise<void>
}

const program = new URL('../../src/agent/main.js', import.meta.url).pathname
const policy = 'site-1'

/** What a site may want; other than the shipped default it lets simulated TDs through, of which there are no others here. */
const policyText = `version=1.2;
// The demonstration: a TD that nobody debugs, on a platform that is up to date, over report data of this request.
authorizationrules
{
    [type=="tdx.td_attributes.debug", value==true, issuer=="AttestationService"] => deny();

    [type=="tdx.td_attributes.debug", value==false, issuer=="AttestationService"] &&
    [type=="tdx.report_data_bound", value==true, issuer=="AttestationService"] &&
    [type=="tdx.tcb_status", value=="UpToDate", issuer=="AttestationService"] => permit();
};
`

const configurationText = (folder: string, { tdx, collateral, verifier }: DemoMachine, port: number) => `[service]
state_directory = "${join(folder, 'state')}"
admin = "${join(folder, 'admin.sock')}"
listen = "127.0.0.1:${port}"
log_level = "info"

[issuer]
url = "http://127.0.0.1:${port}"
allow_http_loopback = true

[tdx]
${tdx.filter((line) => line.startsWith('simulator =')).join('\n')}

[verifier]
${verifier.filter((line) => line.startsWith('tdx_anchors')).join('\n')}

[collateral]
${collateral.join('\n')}

[policies]
default = ["${policy}"]
`

async function startProcess(configuration: string) {
  const root = process.getuid?.() === 0 ? ['--allow-root'] : []
  const { NODE_OPTIONS: _dropped, ...env } = process.env
  const child = spawn(process.execPath, [program, 'verifier', '--config', configuration, ...root], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env,
  })
  let said = ''
  const exited = once(child, 'exit')
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (said.includes('"event":"ready"')) resolve()
    })
    void exited.then(() => reject(new Error(`the verifier service did not start: ${said}`)))
  })
  return { child, exited }
}

const operatorCommands = (socket: string): string[] =>
  ['status', `policies show --id ${policy}`, `policies history --id ${policy}`, `policies set --id ${policy} FILE`].map(
    (does) => `node ${relative(process.cwd(), program)} verifier ${does} --socket ${socket}`,
  )

/** Starts it, and sets the policy that it evaluates: as an operator does. */
export async function startVerifierService(folder: string, machine: DemoMachine): Promise<DemoVerifierService> {
  await mkdir(folder, { mode: 0o700 })
  const port = await freePort()
  const [configuration, text] = [join(folder, 'verifier.toml'), join(folder, `${policy}.policy`)]
  await writeFile(configuration, configurationText(folder, machine, port), { mode: 0o600 })
  await writeFile(text, policyText)
  const { child, exited } = await startProcess(configuration)
  const stop = async () => {
    child.kill('SIGTERM')
    await exited
  }
  try {
    const set = ['verifier', 'policies', 'set', '--id', policy, text, '--socket', join(folder, 'admin.sock')]
    await promisify(execFile)(process.execPath, [program, ...set])
    const hash = createHash('sha256').update(policyText).digest('hex')
    const commands = operatorCommands(join(folder, 'admin.sock'))
    return { url: `http://127.0.0.1:${port}`, policy: { id: policy, hash }, commands, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
