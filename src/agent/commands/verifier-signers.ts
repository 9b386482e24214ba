import { Command, InvalidArgumentError } from 'commander'
import { toBase64 } from '../../base/bytes.ts'
import { AttestdError } from '../../base/errors.ts'
import { agentErrors } from '../errors.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { parseVerifierAnswer, verifierAnswers } from '../presentation/verifier-answers.ts'
import { renderSignerChange, renderSigners } from '../presentation/verifier-signers.ts'
import { askVerifierForObject } from '../verifier-socket.ts'
import { readCertificates } from '../wiring/trust-files.ts'
import { type AdministrationOptions, administrationCommand } from './verifier-options.ts'

const route = '/v1/admin/signers'

function signerHash(text: string): string {
  if (/^(?:[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})$/.test(text)) return text
  throw new InvalidArgumentError('must be 64 hexadecimal digits (SHA-256 of key or certificate) or a thumbprint of 40.')
}

/** The reader is that of configurations: what is named here stands on a command line. */
function refuseCertificate(error: unknown): never {
  if (!(error instanceof AttestdError) || error.code !== 'CONFIGURATION_INVALID') throw error
  const remedy = 'give the certificate of the signer, PEM or DER: the one of `attestd policy sign --certificate`'
  throw agentErrors.error('INPUT_UNREADABLE', error.message, { remedy, cause: error })
}

async function readCertificate(file: string): Promise<Uint8Array> {
  const [certificate, ...others] = await readCertificates([file]).catch(refuseCertificate)
  if (certificate !== undefined && others.length === 0) return certificate.der
  throw agentErrors.error('USAGE', `${file} holds several certificates: give the one of the signer alone`)
}

function listCommand(io: CommandIo): Command {
  return administrationCommand('list', 'list who may sign policies, and who once might').action(
    async ({ socket, json }: AdministrationOptions) => {
      const answer = await askVerifierForObject({ socket, method: 'GET', path: route })
      const signers = parseVerifierAnswer(verifierAnswers.signers, answer)
      io.out(json ? `${JSON.stringify(answer)}\n` : renderSigners(signers))
    },
  )
}

function addCommand(io: CommandIo): Command {
  return administrationCommand('add', 'trust a signer; with the first one, policies must be signed')
    .argument('<file>', 'its certificate, PEM or DER')
    .action(async (file: string, { socket, json }: AdministrationOptions) => {
      const body = { certificate: toBase64(await readCertificate(file)) }
      const answer = await askVerifierForObject({ socket, method: 'POST', path: route, body })
      const change = parseVerifierAnswer(verifierAnswers.signerChange, answer)
      io.out(json ? `${JSON.stringify(answer)}\n` : renderSignerChange('add', change, io))
    })
}

function removeCommand(io: CommandIo): Command {
  return administrationCommand('remove', 'trust a signer no more; with the last one, policies need no signature')
    .argument('<hash>', 'SHA-256 of its key, as `list` shows it, or hash or thumbprint of its certificate', signerHash)
    .action(async (hash: string, { socket, json }: AdministrationOptions) => {
      const answer = await askVerifierForObject({ socket, method: 'DELETE', path: `${route}/${hash}` })
      const change = parseVerifierAnswer(verifierAnswers.signerChange, answer)
      io.out(json ? `${JSON.stringify(answer)}\n` : renderSignerChange('remove', change, io))
    })
}

/** `attestd verifier signers`: who may sign policies (POL-704, POL-708). */
export function signersCommand(io: CommandIo): Command {
  return new Command('signers')
    .description('who may sign policies: list, add and remove them, also the first and the last')
    .addCommand(listCommand(io))
    .addCommand(addCommand(io))
    .addCommand(removeCommand(io))
}
