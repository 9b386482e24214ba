import { constant, sizedBytes, struct, u8, u16be, u32be } from '../../base/layout.ts'
import { algNull, hashField } from './algorithms.ts'
import { declareCommand } from './command-codec.ts'
import {
  attestBuffer,
  capabilityData,
  contextLayout,
  creationData,
  creationTicket,
  dataBuffer,
  digestBuffer,
  digestList,
  digestValues,
  encryptedSecretBuffer,
  idObjectBuffer,
  nameBuffer,
  privateBuffer,
  secretTicket,
  sensitiveCreate,
  signatureScheme,
  sizedBuffer,
  sizedNvPublic,
  yesNo,
} from './command-structures.ts'
import { pcrSelectionList } from './pcr-selection.ts'
import { sizedPublicLayout } from './public-area.ts'
import { signatureLayout } from './signature.ts'

const createRequest = struct({
  sensitive: sensitiveCreate,
  publicArea: sizedPublicLayout,
  outsideInfo: dataBuffer,
  creationPcrs: pcrSelectionList,
})

/**
 * The commands that the agent, its doubles and its tests send (NAT 3.2; TPM 2.0 Part 3). Handles and parameters
 * of a request lie flat in one object. Names are those of the specification, in camelCase.
 */
export const tpm2 = {
  startup: declareCommand({
    name: 'TPM2_Startup',
    code: 0x144,
    parameters: struct({ startupType: u16be }),
  }),

  shutdown: declareCommand({
    name: 'TPM2_Shutdown',
    code: 0x145,
    parameters: struct({ shutdownType: u16be }),
  }),

  getCapability: declareCommand({
    name: 'TPM2_GetCapability',
    code: 0x17a,
    parameters: struct({ capability: u32be, property: u32be, count: u32be }),
    response: struct({ moreData: yesNo, data: capabilityData }),
  }),

  getRandom: declareCommand({
    name: 'TPM2_GetRandom',
    code: 0x17b,
    parameters: struct({ bytes: u16be }),
    response: struct({ randomBytes: digestBuffer }),
  }),

  pcrRead: declareCommand({
    name: 'TPM2_PCR_Read',
    code: 0x17e,
    parameters: struct({ selection: pcrSelectionList }),
    response: struct({ updateCounter: u32be, selection: pcrSelectionList, values: digestList }),
  }),

  pcrExtend: declareCommand({
    name: 'TPM2_PCR_Extend',
    code: 0x182,
    handles: ['pcr'],
    authorised: 1,
    parameters: struct({ digests: digestValues }),
  }),

  pcrReset: declareCommand({ name: 'TPM2_PCR_Reset', code: 0x13d, handles: ['pcr'], authorised: 1 }),

  createPrimary: declareCommand({
    name: 'TPM2_CreatePrimary',
    code: 0x131,
    handles: ['hierarchy'],
    authorised: 1,
    parameters: createRequest,
    returns: 'object',
    response: struct({
      publicArea: sizedPublicLayout,
      creationData,
      creationHash: digestBuffer,
      ticket: creationTicket,
      name: nameBuffer,
    }),
  }),

  create: declareCommand({
    name: 'TPM2_Create',
    code: 0x153,
    handles: ['parent'],
    authorised: 1,
    parameters: createRequest,
    response: struct({
      privateArea: privateBuffer,
      publicArea: sizedPublicLayout,
      creationData,
      creationHash: digestBuffer,
      ticket: creationTicket,
    }),
  }),

  load: declareCommand({
    name: 'TPM2_Load',
    code: 0x157,
    handles: ['parent'],
    authorised: 1,
    parameters: struct({ privateArea: privateBuffer, publicArea: sizedPublicLayout }),
    returns: 'object',
    response: struct({ name: nameBuffer }),
  }),

  readPublic: declareCommand({
    name: 'TPM2_ReadPublic',
    code: 0x173,
    handles: ['object'],
    response: struct({ publicArea: sizedPublicLayout, name: nameBuffer, qualifiedName: nameBuffer }),
  }),

  quote: declareCommand({
    name: 'TPM2_Quote',
    code: 0x158,
    handles: ['key'],
    authorised: 1,
    parameters: struct({ qualifyingData: dataBuffer, scheme: signatureScheme, selection: pcrSelectionList }),
    response: struct({ attest: attestBuffer, signature: signatureLayout }),
  }),

  startAuthSession: declareCommand({
    name: 'TPM2_StartAuthSession',
    code: 0x176,
    handles: ['tpmKey', 'bind'],
    parameters: struct({
      nonceCaller: digestBuffer,
      encryptedSalt: encryptedSecretBuffer,
      sessionType: u8,
      symmetric: constant(u16be, algNull),
      authHash: hashField,
    }),
    returns: 'session',
    response: struct({ nonceTpm: digestBuffer }),
  }),

  policySecret: declareCommand({
    name: 'TPM2_PolicySecret',
    code: 0x151,
    handles: ['authority', 'policySession'],
    authorised: 1,
    parameters: struct({
      nonceTpm: digestBuffer,
      cpHash: digestBuffer,
      policyRef: digestBuffer,
      /** Seconds; 0 means no limit. The field is signed, but this project gives no other value. */
      expiration: constant(u32be, 0),
    }),
    response: struct({ timeout: sizedBytes(u16be, { max: 8 }), ticket: secretTicket }),
  }),

  policyOr: declareCommand({
    name: 'TPM2_PolicyOR',
    code: 0x171,
    handles: ['policySession'],
    parameters: struct({ branches: digestList }),
  }),

  policyGetDigest: declareCommand({
    name: 'TPM2_PolicyGetDigest',
    code: 0x189,
    handles: ['policySession'],
    response: struct({ digest: digestBuffer }),
  }),

  activateCredential: declareCommand({
    name: 'TPM2_ActivateCredential',
    code: 0x147,
    handles: ['activated', 'key'],
    authorised: 2,
    parameters: struct({ idObject: idObjectBuffer, encryptedSecret: encryptedSecretBuffer }),
    response: struct({ secret: digestBuffer }),
  }),

  makeCredential: declareCommand({
    name: 'TPM2_MakeCredential',
    code: 0x168,
    handles: ['key'],
    parameters: struct({ secret: digestBuffer, objectName: nameBuffer }),
    response: struct({ idObject: idObjectBuffer, encryptedSecret: encryptedSecretBuffer }),
  }),

  nvReadPublic: declareCommand({
    name: 'TPM2_NV_ReadPublic',
    code: 0x169,
    handles: ['index'],
    response: struct({ nvPublic: sizedNvPublic, name: nameBuffer }),
  }),

  nvRead: declareCommand({
    name: 'TPM2_NV_Read',
    code: 0x14e,
    handles: ['authority', 'index'],
    authorised: 1,
    parameters: struct({ size: u16be, offset: u16be }),
    response: struct({ data: sizedBuffer }),
  }),

  evictControl: declareCommand({
    name: 'TPM2_EvictControl',
    code: 0x120,
    handles: ['authority', 'object'],
    authorised: 1,
    parameters: struct({ persistentHandle: u32be }),
  }),

  /** The handle is a parameter here, so that a flushed or unknown one can be named at all. */
  flushContext: declareCommand({
    name: 'TPM2_FlushContext',
    code: 0x165,
    parameters: struct({ flushed: u32be }),
  }),

  contextSave: declareCommand({
    name: 'TPM2_ContextSave',
    code: 0x162,
    handles: ['saved'],
    response: struct({ context: contextLayout }),
  }),

  contextLoad: declareCommand({
    name: 'TPM2_ContextLoad',
    code: 0x161,
    parameters: struct({ context: contextLayout }),
    returns: 'object',
  }),
} as const
