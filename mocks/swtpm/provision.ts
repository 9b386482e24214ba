import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** A simulated TPM as its maker hands it over: endorsement keys and certificates made, storage locked. */
export interface ProvisionedTpm {
  /** Absolute: swtpm fails at its first NV write otherwise. */
  readonly stateDirectory: string
  /** PEM, self-signed: the trust anchor of the EK certificates. */
  readonly rootCertificate: string
  /** PEM, issued by the root: issued the EK certificates. */
  readonly issuerCertificate: string
}

export interface ProvisioningOptions {
  /** Holds the state of the TPM, the keys of its maker and the configuration; made if it is missing. */
  readonly folder: string
  /** Becomes the common name of the EK certificate. */
  readonly name?: string
  readonly banks?: string
  /** Folder of an earlier maker: its root and issuer then sign for this TPM too. */
  readonly maker?: string
}

/**
 * Makes a simulated TPM with `swtpm_setup` and a local certification authority: an RSA-2048 and a P-384
 * endorsement key (81010001, 81010016) with certificates (NV 01C00002, 01C00016). Takes about 1.2 seconds.
 */
export async function provisionSwtpm(options: ProvisioningOptions): Promise<ProvisionedTpm> {
  const { folder, name = 'simulated-tpm', banks = 'sha1,sha256,sha384', maker = join(folder, 'maker') } = options
  const stateDirectory = join(folder, 'state')
  for (const path of [stateDirectory, maker]) await mkdir(path, { recursive: true, mode: 0o700 })
  const configuration = await writeConfiguration(folder, maker)
  await promisify(execFile)('swtpm_setup', [
    ...['--tpm2', '--tpmstate', stateDirectory, '--config', configuration],
    ...['--create-ek-cert', '--lock-nvram', '--pcr-banks', banks, '--vmid', name],
  ])
  return {
    stateDirectory,
    rootCertificate: join(maker, 'swtpm-localca-rootca-cert.pem'),
    issuerCertificate: join(maker, 'issuercert.pem'),
  }
}

async function writeConfiguration(folder: string, maker: string): Promise<string> {
  const path = (name: string) => join(folder, name)
  const authority = {
    statedir: maker,
    signingkey: join(maker, 'signkey.pem'),
    issuercert: join(maker, 'issuercert.pem'),
    certserial: join(maker, 'certserial'),
  }
  const setup = {
    create_certs_tool: 'swtpm_localca',
    create_certs_tool_config: path('localca.conf'),
    create_certs_tool_options: path('localca.options'),
  }
  const platform = '--platform-manufacturer simulated\n--platform-version 1\n--platform-model simulated\n'
  await writeFile(path('localca.conf'), settings(authority))
  await writeFile(path('localca.options'), platform)
  await writeFile(path('setup.conf'), settings(setup))
  return path('setup.conf')
}

function settings(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join('')
}
