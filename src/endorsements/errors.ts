import { declareErrors } from '../base/errors.ts'

export const endorsementErrors = declareErrors({
  trust_anchor_mismatch: {
    kind: 'configuration',
    title: 'a configured trust anchor is not the certificate that is pinned',
    remedy: 'obtain the certificate again from its maker and compare its SHA-256, or correct the pinned digest',
  },
  trust_anchor_incomplete: {
    kind: 'configuration',
    title: 'a trust anchor is known by its digest only',
    remedy: 'configure the certificate of the trust anchor; it must have the pinned SHA-256',
  },
})
