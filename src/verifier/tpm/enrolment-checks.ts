import type { Checks } from '../../results/appraisal.ts'

export type EnrolmentCheckId = keyof typeof enrolment

const enrolment = {
  'tpm.enrolment.akWellFormed': {
    title: 'the public area of the attestation key parses to its last byte',
    rule: 'TPM-10',
    remedy: 'send ak.public as the TPM2B_PUBLIC that TPM2_ReadPublic gives',
  },
  'tpm.enrolment.akStrength': {
    title: 'the attestation key is of a supported kind and strength, named by SHA-256 or better',
    rule: 'TPM-10',
    remedy: 'create an attestation key on P-256, P-384 or P-521, or RSA with 2048 bits or more and exponent 65537',
  },
  'tpm.enrolment.akAttributes': {
    title: 'the attestation key is a restricted signing key that was made in its TPM and cannot leave it',
    rule: 'TPM-11',
    remedy: 'create the attestation key with fixedTPM, fixedParent, sensitiveDataOrigin, restricted and sign',
  },
  'tpm.ek.wellFormed': {
    title: 'the public area of the endorsement key parses to its last byte',
    rule: 'ENR-01',
    remedy: 'send ek.public as the TPM2B_PUBLIC that TPM2_ReadPublic gives',
  },
  'tpm.ek.template': {
    title: 'the endorsement key is a restricted decryption key that was made in its TPM and cannot leave it',
    rule: 'ENR-01',
    remedy: 'create the endorsement key from a template of the TCG EK Credential Profile',
  },
  'tpm.ek.certificate': {
    title: 'the endorsement certificate is there, strictly encoded, and all its critical extensions are understood',
    rule: 'EKC-02, EKC-04',
    remedy:
      'read the certificate from the NV index of the endorsement key; where the TPM has none, the operator of the verifier can pin the endorsement key (ek-pinned)',
  },
  'tpm.ek.match': {
    title: 'the endorsement certificate is for this endorsement key',
    rule: 'EKC-03',
    remedy: 'send the certificate that belongs to the template of the endorsement key',
  },
  'tpm.ek.usage': {
    title: 'the certificate is for an endorsement key that decrypts',
    rule: 'EKC-07',
    remedy: 'use the decrypting endorsement key; a signing EK, as enclave vTPMs have, cannot answer a challenge',
  },
  'tpm.ek.validity': {
    title: 'every certificate of the chain is valid now',
    rule: 'EKC-06',
    remedy: 'compare the clock of the verifier; obtain a current endorsement certificate from the maker of the TPM',
  },
  'tpm.ek.chain': {
    title: 'the endorsement certificate leads to a configured trust anchor',
    rule: 'EKC-01, EKC-05',
    remedy: 'configure the trust anchor of the TPM maker, and its intermediates if the TPM does not hold them',
  },
  'tpm.ek.revocation': {
    title: 'current revocation lists do not name any certificate of the chain',
    rule: 'EKC-08',
    remedy: 'configure current revocation lists of every issuer in the chain; a revoked TPM cannot be enrolled',
  },
  'tpm.ek.instance': {
    title: 'the endorsement key is bound to the expected instance id',
    rule: 'EKC-09',
    remedy: 'compare the common name of the endorsement certificate with the instance id that is expected',
  },
  'tpm.ek.hardware': {
    title: 'the TPM is not a simulator',
    rule: 'TPM-30',
    remedy: 'enrol the TPM of the machine; only a test verifier may run in simulator mode',
  },
} as const

/** The checks of an enrolment request, before any challenge is made (ENR-01). */
export const enrolmentChecks: Checks<EnrolmentCheckId> = enrolment

export type AkCertificateCheckId = keyof typeof akCertificate

const akCertificate = {
  'tpm.akCertificate.wellFormed': {
    title: 'the public area of the attestation key parses to its last byte',
    rule: 'TPM-10',
    remedy: 'send ak.public as the TPM2B_PUBLIC that TPM2_ReadPublic gives',
  },
  'tpm.akCertificate.certificate': {
    title: 'the certificate of the attestation key is strictly encoded, and all its critical extensions are understood',
    rule: 'EKC-10',
    remedy: 'read the certificate of the attestation key from the NV index of the provider',
  },
  'tpm.akCertificate.match': {
    title: 'the certificate is for this attestation key',
    rule: 'EKC-10',
    remedy: 'quote with the key that the provider certified',
  },
  'tpm.akCertificate.usage': {
    title: 'the certificate is for a key that attests',
    rule: 'EKC-10',
    remedy: 'use a certificate with digitalSignature and, if it limits its purposes, 2.23.133.8.3',
  },
  'tpm.akCertificate.validity': {
    title: 'every certificate of the chain is valid now',
    rule: 'EKC-06',
    remedy: 'compare the clock of the verifier; obtain a current certificate from the provider',
  },
  'tpm.akCertificate.chain': {
    title: 'the certificate leads to a configured trust anchor',
    rule: 'EKC-01, EKC-05',
    remedy: 'configure the trust anchor of the provider and its intermediates',
  },
  'tpm.akCertificate.revocation': {
    title: 'current revocation lists do not name any certificate of the chain',
    rule: 'EKC-08',
    remedy: 'configure current revocation lists of every issuer in the chain',
  },
} as const

/** The checks of a certificate that a provider gave to an attestation key (EKC-10). */
export const akCertificateChecks: Checks<AkCertificateCheckId> = akCertificate
