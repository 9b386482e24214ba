import { declareErrors } from '../base/errors.ts'

export const endorserErrors = declareErrors({
  collateral_source_invalid: {
    kind: 'configuration',
    title: 'a configured source of collateral cannot be used',
    remedy:
      'name sources as https://host[:port], as file:///path or by an Alibaba Cloud region; plain http and unverified certificates need their own switch, and a host of this machine or of the VPC',
  },
  collateral_query_invalid: {
    kind: 'malformed',
    title: 'collateral is asked for by something that is no platform',
    remedy:
      'give the FMSPC as 12 hexadecimal digits and the CA as platform or processor, as the PCK certificate names them',
  },
  collateral_unknown_platform: {
    kind: 'unavailable',
    title: 'no source knows the platform',
    remedy:
      'check the FMSPC, register the platform with the provisioning service, or add a source that knows it; asked again after 5 minutes',
  },
  collateral_number_expired: {
    kind: 'configuration',
    title: 'the TCB evaluation number that is asked for is no longer served',
    remedy: 'ask for a later evaluation number, or for the standard or early update instead of a number',
  },
  collateral_platform_uncached: {
    kind: 'unavailable',
    title: 'the caching service has not cached this platform',
    remedy: 'register the platform with the caching service (PCCS), or let the service fetch on demand',
  },
  collateral_tcb_uncertified: {
    kind: 'unavailable',
    title: 'the caching service has no certificate for the TCB of this platform',
    remedy: 'let the caching service (PCCS) refresh, and register the platform again after an update of its firmware',
  },
  collateral_request_refused: {
    kind: 'refused',
    title: 'a source refuses the request for collateral',
    remedy: 'check the URL of the source, and that it serves version 4 of the provisioning interface',
  },
  collateral_answer_invalid: {
    kind: 'refused',
    title: 'a source answers with something that is not the collateral asked for',
    remedy: 'check that the URL names a provisioning service and no proxy or login page stands before it',
  },
  collateral_unauthentic: {
    kind: 'refused',
    title: 'collateral is not signed by the trusted maker',
    remedy: 'do not use this source: what it serves was changed, or comes from another public key infrastructure',
  },
  collateral_rollback: {
    kind: 'refused',
    title: 'a source serves collateral that is older than what was already seen',
    remedy:
      'let the source refresh; if it keeps serving old collateral, somebody may be hiding a revocation or a recovery: do not use it',
  },
  collateral_unavailable: {
    kind: 'unavailable',
    title: 'no source of collateral answers',
    remedy: 'check the network, name resolution and proxy rules to the named sources; asked again at the next need',
  },
  collateral_expired: {
    kind: 'unavailable',
    title: 'there is no collateral that is still valid',
    remedy: 'make a source with current collateral reachable, or bring a newer bundle; check the clock',
  },
  collateral_not_yet_valid: {
    kind: 'unavailable',
    title: 'collateral was issued after the present',
    remedy: 'synchronise the clock of this host',
  },
  collateral_file_invalid: {
    kind: 'configuration',
    title: 'a file with collateral cannot be used',
    remedy: 'write the file again with `attestd collateral fetch` or with the client tool of the provisioning service',
  },
  qcnl_invalid: {
    kind: 'configuration',
    title: 'the quote provider configuration does not read',
    remedy: 'correct the named line of sgx_default_qcnl.conf, or configure the sources of collateral explicitly',
  },
})
