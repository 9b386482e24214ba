import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
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

/** SHA-256 of a SubjectPublicKeyInfo, as `verifier.ek_pinned` wants it. */
export const pinOf = (spki: Uint8Array) => createHash('sha256').update(spki).digest('hex')

/** The TPM of this machine. Its owner pins the EK that is found: who stands before a machine may say "this one". */
export function realMachine(ekPin: string): DemoMachine {
  return {
    simulated: false,
    describes: `the TPM of this machine (${deviceOfThisMachine}), its endorsement key pinned as found`,
    tpm: [`tcti = "device:${deviceOfThisMachine}"`],
    verifier: [`ek_pinned = ["${ekPin}"]`],
    stop: async () => {},
  }
}
