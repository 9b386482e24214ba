import type { Checks } from '../../results/appraisal.ts'

export type RevocationCheckId = keyof typeof revocation
export type QeIdentityCheckId = keyof typeof qeIdentity
export type TcbInfoCheckId = keyof typeof tcbInfo

const fetchAgain = 'fetch the collateral again from the provisioning service, and store it byte for byte'
const compareClock = 'compare the clock of the verifier, and fetch current collateral'

const revocation = {
  'tdx.collateral.present': {
    title: 'there is collateral to judge the TCB with',
    rule: 'TDX-099',
    remedy: 'configure a source of collateral; without it neither revocation nor TCB status is known',
  },
  'tdx.rootCrl.authentic': {
    title: 'the revocation list of the root is a strict v2 list with number and key identifier, signed by the root',
    rule: 'TDX-119',
    remedy: fetchAgain,
  },
  'tdx.rootCrl.validity': {
    title: 'the revocation list of the root is current',
    rule: 'TDX-119',
    remedy: compareClock,
  },
  'tdx.pck.caRevocation': {
    title: 'the root has not revoked the intermediate of the PCK chain',
    rule: 'TDX-119',
    remedy: 'obtain a PCK certificate from the new authority; nothing under a revoked one is trusted',
  },
  'tdx.signers.revocation': {
    title: 'the root has not revoked the signers of TCB info and QE identity',
    rule: 'TDX-119',
    remedy: 'fetch collateral that a signer of good standing has signed',
  },
  'tdx.pckCrl.authentic': {
    title: 'the revocation list of PCK certificates is a strict v2 list, signed by the intermediate of the PCK chain',
    rule: 'TDX-120',
    remedy: 'fetch the list of the kind of authority (platform or processor) that issued the PCK certificate',
  },
  'tdx.pckCrl.validity': {
    title: 'the revocation list of the PCK authority is current',
    rule: 'TDX-120',
    remedy: compareClock,
  },
  'tdx.pckCrl.chain': {
    title: 'the chain that came with the PCK revocation list leads from its issuer to a trust anchor',
    rule: 'TDX-120',
    remedy: fetchAgain,
  },
  'tdx.pckCrl.chainValidity': {
    title: 'the certificates that came with the PCK revocation list are valid now',
    rule: 'TDX-120',
    remedy: compareClock,
  },
  'tdx.pck.revocation': {
    title: 'the PCK certificate is not revoked',
    rule: 'TDX-120',
    remedy: 'take the platform out of use until its maker says how it is recovered; its key may be known to others',
  },
} as const

/** TDX-099, TDX-119 and TDX-120. */
export const revocationChecks: Checks<RevocationCheckId> = revocation

const qeIdentity = {
  'tdx.qeIdentity.chain': {
    title: 'the QE identity comes with a signer directly under a trust anchor',
    rule: 'TDX-150',
    remedy: fetchAgain,
  },
  'tdx.qeIdentity.chainValidity': {
    title: 'the certificates of the signer of the QE identity are valid now',
    rule: 'TDX-150',
    remedy: compareClock,
  },
  'tdx.qeIdentity.signature': {
    title: 'the signer signed exactly these bytes of the QE identity',
    rule: 'TDX-151',
    remedy: fetchAgain,
  },
  'tdx.qeIdentity.wellFormed': {
    title: 'the QE identity is strict JSON of version 2 with levels that do not contradict each other',
    rule: 'TDX-152',
    remedy: fetchAgain,
  },
  'tdx.qeIdentity.validity': {
    title: 'the QE identity is current',
    rule: 'TDX-153',
    remedy: compareClock,
  },
  'tdx.qeIdentity.kind': {
    title: 'the QE identity is for quotes of this TEE',
    rule: 'TDX-154',
    remedy: 'fetch the QE identity of the TEE of the quote: TD_QE for TDX, QE for SGX',
  },
  'tdx.qe.miscSelect': {
    title: 'MISCSELECT of the quoting enclave is the expected one',
    rule: 'TDX-155',
    remedy: 'use the quoting enclave of Intel on the host',
  },
  'tdx.qe.attributes': {
    title: 'the attributes of the quoting enclave are the expected ones',
    rule: 'TDX-156',
    remedy: 'use the production quoting enclave of Intel on the host; one in debug mode keeps no secret',
  },
  'tdx.qe.mrSigner': {
    title: 'the quoting enclave is signed by the expected signer',
    rule: 'TDX-157',
    remedy: 'use the quoting enclave of Intel on the host',
  },
  'tdx.qe.product': {
    title: 'the quoting enclave is the expected product',
    rule: 'TDX-158',
    remedy: 'use the quoting enclave of Intel on the host; another enclave of the same signer does not stand for it',
  },
  'tdx.qe.level': {
    title: 'a TCB level of the QE identity covers the version of the quoting enclave',
    rule: 'TDX-159',
    remedy: 'update the quoting enclave (DCAP software) of the host',
  },
} as const

/** Section 3.3 of tdx.md. */
export const qeIdentityChecks: Checks<QeIdentityCheckId> = qeIdentity

const tcbInfo = {
  'tdx.tcbInfo.chain': {
    title: 'the TCB info comes with a signer directly under a trust anchor',
    rule: 'TDX-160',
    remedy: fetchAgain,
  },
  'tdx.tcbInfo.chainValidity': {
    title: 'the certificates of the signer of the TCB info are valid now',
    rule: 'TDX-160',
    remedy: compareClock,
  },
  'tdx.tcbInfo.signature': {
    title: 'the signer signed exactly these bytes of the TCB info',
    rule: 'TDX-161',
    remedy: fetchAgain,
  },
  'tdx.tcbInfo.wellFormed': {
    title: 'the TCB info is strict JSON of a known version with levels that do not contradict each other',
    rule: 'TDX-162',
    remedy: fetchAgain,
  },
  'tdx.tcbInfo.validity': {
    title: 'the TCB info is current',
    rule: 'TDX-163',
    remedy: compareClock,
  },
  'tdx.tcbInfo.kind': {
    title: 'the TCB info is for this TEE',
    rule: 'TDX-164',
    remedy: 'fetch the TCB info of the TEE of the quote: TDX or SGX',
  },
  'tdx.tcbInfo.fmspc': {
    title: 'the TCB info is for the kind of platform (FMSPC) of the PCK certificate',
    rule: 'TDX-165',
    remedy: 'fetch the TCB info for the FMSPC of the platform',
  },
  'tdx.tcbInfo.pceId': {
    title: 'the TCB info is for the provisioning enclave (PCEID) of the PCK certificate',
    rule: 'TDX-166',
    remedy: 'fetch the TCB info for the platform; another PCEID counts its versions otherwise',
  },
  'tdx.module.known': {
    title: 'the TCB info knows the version of the TDX module',
    rule: 'TDX-170',
    remedy: 'fetch newer TCB info, or use a TDX module that Intel has published',
  },
  'tdx.module.signer': {
    title: 'the TDX module is signed by the expected signer',
    rule: 'TDX-171',
    remedy: 'use the TDX module of Intel on the host',
  },
  'tdx.module.attributes': {
    title: 'the attributes of the TDX module are the expected ones, and zero',
    rule: 'TDX-172',
    remedy: 'use the production TDX module of Intel on the host; one in debug mode keeps no secret',
  },
  'tdx.tcb.level': {
    title: 'a TCB level covers the platform',
    rule: 'TDX-173',
    remedy: 'update microcode, firmware and TDX module of the host, and restart the guest',
  },
  'tdx.module.level': {
    title: 'a TCB level of its identity covers the TDX module',
    rule: 'TDX-174',
    remedy: 'update the TDX module of the host, and restart the guest',
  },
  'tdx.tcb.current': {
    title: 'TCB levels cover the platform and the TDX module as they are now, besides as they were at launch',
    rule: 'TDX-176',
    remedy: 'fetch newer TCB info; the TDX module that runs now must be one that Intel has published',
  },
} as const

/** Sections 3.4 and 3.5 of tdx.md. */
export const tcbInfoChecks: Checks<TcbInfoCheckId> = tcbInfo
