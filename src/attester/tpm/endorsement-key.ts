import { equalBytes } from '../../base/bytes.ts'
import type { RandomSource } from '../../base/random.ts'
import { algNull } from '../../evidence/tpm/algorithms.ts'
import { type CommandSession, policySession } from '../../evidence/tpm/command-codec.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import { hierarchies, nameOf, qualifiedNameOfPrimary, type TpmtPublic } from '../../evidence/tpm/public-area.ts'
import { attesterErrors } from '../errors.ts'
import type { TpmDialogue } from './dialogue.ts'
import { type EkPolicy, type EkTemplateName, ekPolicyOf, ekTemplates } from './ek-templates.ts'
import { isMadeFrom } from './key-template.ts'
import { refusalError, requireConsistent } from './refusals.ts'

/** Which endorsement key: made again from a template, or one that somebody made persistent (`81…`). */
export type EkChoice =
  | { readonly template: EkTemplateName }
  | { readonly handle: number; readonly certificateIndex: number | null }

/** An endorsement key that is loaded; `handle` is flushed at the end of the flow if it is transient. */
export interface EndorsementKey {
  readonly handle: number
  readonly area: TpmtPublic
  readonly name: Uint8Array
  readonly qualifiedName: Uint8Array
}

const empty = new Uint8Array()
const noSensitive = { userAuth: empty, data: empty }
const policyType = 1
/** TPM2_StartAuthSession takes 16 bytes and up (NAT 3.2). */
const nonceSize = 16

/** Loads the endorsement key. Its Name is checked against its public area (NAT-54), its certificate is not. */
export function loadEndorsementKey(tpm: TpmDialogue, choice: EkChoice): Promise<EndorsementKey> {
  return 'template' in choice ? makeAgain(tpm, ekTemplates[choice.template].area) : readPersistent(tpm, choice.handle)
}

async function makeAgain(tpm: TpmDialogue, template: TpmtPublic): Promise<EndorsementKey> {
  const { object, publicArea, name } = await tpm.execute(tpm2.createPrimary, {
    hierarchy: hierarchies.endorsement,
    sensitive: noSensitive,
    publicArea: template,
    outsideInfo: empty,
    creationPcrs: [],
  })
  requireConsistent(isMadeFrom(publicArea, template), tpm2.createPrimary, 'made another key than asked for')
  requireConsistent(equalBytes(name, nameOf(publicArea)), tpm2.createPrimary, 'the name is not that of the key')
  return endorsementKey(object, publicArea)
}

async function readPersistent(tpm: TpmDialogue, handle: number): Promise<EndorsementKey> {
  const answer = await tpm.attempt(tpm2.readPublic, { object: handle })
  if (answer.outcome === 'refused') throw refusalError(answer.code, tpm.factsFor(tpm2.readPublic), 'EK_UNUSABLE')
  const { publicArea, name, qualifiedName } = answer.response
  const key = endorsementKey(handle, publicArea)
  requireConsistent(equalBytes(name, key.name), tpm2.readPublic, 'the name is not that of the key')
  if (!equalBytes(qualifiedName, key.qualifiedName)) {
    const where = { facts: { handle: handle.toString(16) } }
    throw attesterErrors.error('EK_UNUSABLE', 'the key is not a primary key of the endorsement hierarchy', where)
  }
  return key
}

function endorsementKey(handle: number, area: TpmtPublic): EndorsementKey {
  return { handle, area, name: nameOf(area), qualifiedName: qualifiedNameOfPrimary(area, 'endorsement') }
}

/**
 * A policy session that authorises one use of the endorsement key. Never its password, although keys of the high
 * range take one: they lack noDA, and passwords of such keys count towards the lockout at every unclean power-off.
 */
export async function authoriseEndorsementKey(
  tpm: TpmDialogue,
  key: EndorsementKey,
  random: RandomSource,
): Promise<CommandSession> {
  const policy = ekPolicyOf(key.area)
  if (policy === null) throw attesterErrors.error('EK_UNUSABLE', 'the policy of the endorsement key is not known')
  const { session } = await tpm.execute(tpm2.startAuthSession, {
    tpmKey: hierarchies.null,
    bind: hierarchies.null,
    nonceCaller: random(nonceSize),
    encryptedSalt: empty,
    sessionType: policyType,
    symmetric: algNull,
    authHash: key.area.nameAlg,
  })
  await satisfy(tpm, session, policy)
  return policySession(session)
}

async function satisfy(tpm: TpmDialogue, session: number, policy: EkPolicy): Promise<void> {
  await tpm.execute(tpm2.policySecret, {
    authority: hierarchies.endorsement,
    policySession: session,
    nonceTpm: empty,
    cpHash: empty,
    policyRef: empty,
    expiration: 0,
  })
  if (policy.branches.length > 0) {
    await tpm.execute(tpm2.policyOr, { policySession: session, branches: [...policy.branches] })
  }
  const { digest } = await tpm.execute(tpm2.policyGetDigest, { policySession: session })
  requireConsistent(equalBytes(digest, policy.digest), tpm2.policyGetDigest, 'the session has another policy digest')
}
