import { parseName } from '../../base/pki/distinguished-name.ts'
import { extensionIds } from '../../base/pki/extensions.ts'
import type { TrustAnchor } from '../../base/pki/trust-anchor.ts'

function hex(...lines: readonly string[]): Uint8Array {
  return new Uint8Array(Buffer.from(lines.join(''), 'hex'))
}

const name = parseName(
  hex(
    '3068311a301806035504030c11496e74656c2053475820526f6f74204341311a3018060355040a0c11496e74656c2043',
    '6f72706f726174696f6e3114301206035504070c0b53616e746120436c617261310b300906035504080c024341310b30',
    '09060355040613025553',
  ),
  'trustAnchors.intel-sgx-root',
)

/**
 * Intel SGX Root CA: the root of Intel's provisioning certification service, for SGX and TDX alike (TDX-113). Facts of
 * the certificates that Intel publishes at certificates.trustedservices.intel.com; no certificate is shipped.
 */
const intelSgxRoot: TrustAnchor = {
  name: 'intel-sgx-root',
  // One key, subject and serial number in two encodings: valid until 2049, and until 2033.
  fingerprints: [
    '44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3',
    'fc64f8076d79a4fee9d1d473d74c89eb8d8fd55c5abafeabeba7366d20429404',
  ],
  authority: {
    subject: name,
    issuer: name,
    serial: 0x22650cd65a9d3489f383b49552bf501b392706acn,
    // What the two cover together; a chain is judged by the dates of the one that stands in it.
    notBefore: Date.UTC(2018, 4, 21, 10, 41, 11),
    notAfter: Date.UTC(2049, 11, 31, 23, 59, 59),
    publicKey: hex(
      '3059301306072a8648ce3d020106082a8648ce3d030107034200040ba9c4c0c0c86193a3fe23d6b02cda10a8bbd4e88e',
      '48b4458561a36e705525f567918e2edc88e40d860bd0cc4ee26aacc988e505a953558c453f6b0904ae7394',
    ),
    subjectKeyId: hex('22650cd65a9d3489f383b49552bf501b392706ac'),
    basicConstraints: { ca: true, pathLength: 1 },
    keyUsage: new Set(['keyCertSign', 'cRLSign']),
    criticalExtensions: [extensionIds.keyUsage, extensionIds.basicConstraints],
    constrainsNames: false,
  },
}

/** The anchors under which evidence of Intel's hardware is appraised unless a caller brings others (TDX-098). */
export const intelSgxRootAnchors: readonly TrustAnchor[] = [intelSgxRoot]
