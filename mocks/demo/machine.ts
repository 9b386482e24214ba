import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { configurationSchema } from '../../src/agent/configuration/schema.ts'
import { openHost } from '../../src/agent/wiring/host.ts'
import { wireTpm } from '../../src/agent/wiring/tpm.ts'
import { parseSizedPublic, publicKeyOf } from '../../src/evidence/tpm/public-area.ts'
import { simulateFirmware } from '../swtpm/measured-boot.ts'
import { simulateIma } from '../swtpm/measured-files.ts'
import { provisionSwtpm } from '../swtpm/provision.ts'
import { startSwtpm } from '../swtpm/swtpm.ts'

/** The TPM of the demonstration, as lines of the agent's configuration. */
export interface DemoMachine {
  readonly simulated: boolean
  readonly describes: string
  readonly tpm: readonly string[]
  readonly verifier: readonly string[]
  stop(): Promise<void>
}

export const deviceOfThisMachine = '/dev/tpmrm0'

export const hasDevice = () => existsSync(deviceOfThisMachine)

/** A TPM made by swtpm, with an EK certificate of its own authority and a simulated boot in its registers. */
export async function simulatedMachine(folder: string): Promise<DemoMachine> {
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
  return {
    simulated: true,
    describes: 'a simulated TPM 2.0 (swtpm) with a simulated boot; nothing here protects anything',
    tpm: [`tcti = "${swtpm.tcti}"`, 'simulator = true', `event_log = "${eventLog}"`, `ima_log = "${imaLog}"`],
    verifier: [
      `ek_anchors = ["${provisioned.rootCertificate}"]`,
      `ek_intermediates = ["${provisioned.issuerCertificate}"]`,
      'event_log = "required"',
      'ima = "required"',
    ],
    stop: () => swtpm.stop(),
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

/** The TPM of this machine. Its owner pins the EK that is found: who stands before a machine may say "this one". */
export async function machineOfThisHost(folder: string): Promise<DemoMachine> {
  const pin = await pinOfThisTpm(folder)
  return {
    simulated: false,
    describes: `the TPM of this machine (${deviceOfThisMachine}), its endorsement key pinned as found`,
    tpm: [`tcti = "device:${deviceOfThisMachine}"`],
    verifier: [`ek_pinned = ["${pin}"]`],
    stop: async () => {},
  }
}
