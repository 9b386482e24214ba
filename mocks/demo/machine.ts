import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { configurationSchema } from '../../src/agent/configuration/schema.ts'
import { openHost } from '../../src/agent/wiring/host.ts'
import { wireTpm } from '../../src/agent/wiring/tpm.ts'
import { parseSizedPublic, publicKeyOf } from '../../src/evidence/tpm/public-area.ts'
import type { Tee } from '../../src/results/acr.ts'
import { simulateFirmware } from '../swtpm/measured-boot.ts'
import { simulateIma } from '../swtpm/measured-files.ts'
import { provisionSwtpm } from '../swtpm/provision.ts'
import { startSwtpm } from '../swtpm/swtpm.ts'
import { startTdxSimulator } from './tdx-simulator.ts'

/** The machine of the demonstration, as lines of the agent's configuration by section. */
export interface DemoMachine {
  readonly simulated: boolean
  readonly describes: string
  /** What its tokens attest. */
  readonly tee: Extract<Tee, 'tdx' | 'tpm'>
  readonly tpm: readonly string[]
  readonly tdx: readonly string[]
  readonly collateral: readonly string[]
  readonly verifier: readonly string[]
  /** What a verifier elsewhere has to trust to believe the simulated TD; null for a real one. */
  readonly tdTrust: { readonly root: string; readonly bundle: string } | null
  stop(): Promise<void>
}

export const deviceOfThisMachine = '/dev/tpmrm0'
const tdOfThisMachine = '/dev/tdx_guest'

const hasTpm = () => existsSync(deviceOfThisMachine)
const hasTd = () => existsSync(tdOfThisMachine)
export const hasDevice = () => hasTpm() || hasTd()

/** What this machine measured while it was in the wanted state becomes what is asked of it from now on. */
async function learnReferences(imaLog: string, folder: string): Promise<string> {
  const document = join(folder, 'references.jsonl')
  const program = new URL('../../src/agent/main.js', import.meta.url).pathname
  const learning = ['reference', 'learn', 'evidence', imaLog, '--name', 'demonstration', '--output', document]
  await promisify(execFile)(process.execPath, [program, ...learning])
  return document
}

/** A TPM made by swtpm, with an EK certificate of its own authority and a simulated boot in its registers. */
async function simulatedTpm(folder: string): Promise<Pick<DemoMachine, 'tpm' | 'verifier' | 'stop'>> {
  const provisioned = await provisionSwtpm({ folder: join(folder, 'swtpm'), name: 'attestd-demonstration' })
  const swtpm = await startSwtpm({ stateDirectory: provisioned.stateDirectory })
  const eventLog = join(folder, 'binary_bios_measurements')
  const imaLog = join(folder, 'binary_runtime_measurements')
  const client = await swtpm.connect()
  try {
    await writeFile(eventLog, (await simulateFirmware(client.send)).eventLog)
    await writeFile(imaLog, (await simulateIma(client.send)).log())
  } finally {
    await client.close()
  }
  const references = await learnReferences(imaLog, folder)
  return {
    tpm: [`tcti = "${swtpm.tcti}"`, 'simulator = true', `event_log = "${eventLog}"`, `ima_log = "${imaLog}"`],
    verifier: [
      `ek_anchors = ["${provisioned.rootCertificate}"]`,
      `ek_intermediates = ["${provisioned.issuerCertificate}"]`,
      'event_log = "required"',
      'ima = "required"',
      `references = ["${references}"]`,
    ],
    stop: () => swtpm.stop(),
  }
}

/** A simulated TDX platform in a process of its own: its kernel, and the service that speaks for its maker. */
async function simulatedTd(
  folder: string,
): Promise<Pick<DemoMachine, 'tdx' | 'collateral' | 'verifier' | 'tdTrust' | 'stop'>> {
  const simulator = await startTdxSimulator(join(folder, 'tdx'))
  return {
    tdx: [`simulator_socket = "${simulator.kernel}"`, 'simulator = true'],
    collateral: [`pccs = ["${simulator.pccs}"]`, 'allow_http_loopback = true'],
    verifier: [`tdx_anchors = ["${simulator.root}"]`, 'cc_event_log = "required"'],
    tdTrust: { root: simulator.root, bundle: simulator.bundle },
    stop: () => simulator.stop(),
  }
}

/** A guest with a TD and a TPM, all of it simulated. */
export async function simulatedMachine(folder: string): Promise<DemoMachine> {
  const tpm = await simulatedTpm(folder)
  const td = await simulatedTd(folder)
  return {
    simulated: true,
    describes: 'a simulated TDX guest with a simulated TPM 2.0 (swtpm), both booted; nothing here protects anything',
    tee: 'tdx',
    tpm: tpm.tpm,
    tdx: td.tdx,
    collateral: td.collateral,
    verifier: [...tpm.verifier, ...td.verifier],
    tdTrust: td.tdTrust,
    stop: async () => {
      await td.stop()
      await tpm.stop()
    },
  }
}

/** SHA-256 of the SubjectPublicKeyInfo of the EK that the TPM makes from its template. */
async function pinOfThisTpm(folder: string): Promise<string> {
  const host = openHost()
  const tpm = wireTpm(demoConfiguration(folder), host)
  await using _closed = tpm
  const { ek } = await tpm.attester.identity()
  const key = publicKeyOf(parseSizedPublic(ek.publicArea)).export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(key).digest('hex')
}

const demoConfiguration = (folder: string) =>
  configurationSchema.parse({
    agent: { state_directory: folder },
    tpm: { tcti: `device:${deviceOfThisMachine}` },
    issuer: { url: 'https://unused.example' },
  })

/** The devices of this machine. Its owner pins the EK that is found: who stands before a machine may say "this one". */
export async function machineOfThisHost(folder: string): Promise<DemoMachine> {
  const pin = hasTpm() ? await pinOfThisTpm(folder) : null
  const td = hasTd() ? [`a TD (${tdOfThisMachine}), its collateral from Intel`] : []
  const tpm =
    pin === null ? [] : [`the TPM of this machine (${deviceOfThisMachine}), its endorsement key pinned as found`]
  return {
    simulated: false,
    describes: [...td, ...tpm].join('; '),
    tee: hasTd() ? 'tdx' : 'tpm',
    tpm: [`tcti = "device:${deviceOfThisMachine}"`],
    tdx: [],
    collateral: [],
    verifier: pin === null ? [] : [`ek_pinned = ["${pin}"]`],
    tdTrust: null,
    stop: async () => {},
  }
}
