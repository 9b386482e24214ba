import type { Certificate } from '../base/pki/certificate.ts'
import { type DistinguishedName, parseName } from '../base/pki/distinguished-name.ts'
import { extensionIds, type KeyUsage } from '../base/pki/extensions.ts'
import { anchorOf, type TrustAnchor } from '../base/pki/trust-anchor.ts'
import { endorsementErrors } from './errors.ts'

/** What a maker's certificate says of its authority, without the certificate. */
export interface AuthorityFacts {
  /** DER names. */
  readonly subject: Uint8Array
  readonly issuer: Uint8Array
  readonly serial: bigint
  /** Milliseconds since the epoch. */
  readonly notBefore: number
  readonly notAfter: number
  /** DER SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array
  readonly subjectKeyId: Uint8Array
  readonly pathLength: number | null
  readonly keyUsage: readonly KeyUsage[]
}

export interface VendorAnchorFacts {
  /** Who it is and what it issues, for documentation and messages. */
  readonly summary: string
  /** Where the facts come from. */
  readonly source: string
  /** Lower-case hexadecimal. */
  readonly certificateSha256: string
  /** null: the key is not known here; the operator brings the certificate, which must have the digest above. */
  readonly authority: AuthorityFacts | null
}

export type VendorAnchorName = keyof typeof facts

function hex(...lines: readonly string[]): Uint8Array {
  return new Uint8Array(Buffer.from(lines.join(''), 'hex'))
}

const facts = {
  aliyun: {
    summary: 'Aliyun TPM EKMF CA: issues the EK certificates of the vTPMs of ECS instances',
    source: 'Alibaba_Cloud_vTPM_EK.pem as distributed with keylime (tpm_cert_store, commit 9b1f6e6)',
    certificateSha256: '141805f04cd9b89bfbcd30cb792d5ca3a0a2382db6ee35720e6e27e4189e43a0',
    authority: {
      subject: hex(
        '306f310b300906035504061302434e310f300d060355040a0c06416c6979756e31323030060355040b0c29416c697975',
        '6e2054504d20456e646f7273656d656e74204b6579204d616e7566616374757265204341311b301906035504030c1241',
        '6c6979756e2054504d20454b4d46204341',
      ),
      issuer: hex(
        '3058310b300906035504061302434e310f300d060355040a0c06416c6979756e311b3019060355040b0c12416c697975',
        '6e2054504d20526f6f74204341311b301906035504030c12416c6979756e2054504d20526f6f74204341',
      ),
      serial: 0x02n,
      notBefore: Date.UTC(2021, 8, 16, 5, 48, 24),
      notAfter: Date.UTC(2030, 11, 31, 23, 59, 59),
      publicKey: hex(
        '30820122300d06092a864886f70d01010105000382010f003082010a0282010100e559242bc3ac3247717611bfd3c5c3',
        '05130781a83a4b9ac3b47f79a9bc57c04e0388ebdf500214899fb9d4a7bcf6342f6905f41b21f471cdf05e0b0a4ebb10',
        '14cd17468e3f263da980ccc94aa54e8210cf084d829b5aa0b0e4be62a05637d0cd6d35859794e16bff9fee67bcd1fcf9',
        '70e753bd80cbecad86c7fda21ab5d83f2eedbc1becd6989073391ffcd59b7f29e9c0d2b283bbb0ca25dddddf5eff457e',
        'd1bf7e93af2d75d187f07df4b9f746bff4e474329a0f9a0ddc43a2436c9b0d581a3c6f3862679af9bc2a47f603b28b48',
        '4125398557c6a5844a0db41d19e224aa6e8f6a95067d604b4eccbf6e745293573ab9140e8554352c7551a5447dfe21e2',
        '770203010001',
      ),
      subjectKeyId: hex('81aa9a649288ff070707509acf974eff665950c8'),
      pathLength: null,
      keyUsage: ['keyCertSign', 'cRLSign'],
    },
  },
  'aliyun-root': {
    summary: 'Aliyun TPM Root CA: issued the certificate of Aliyun TPM EKMF CA',
    source: 'fingerprint as reported by several third parties; not derived from a certificate at hand',
    certificateSha256: '870d6e888c3531b69983f0aebb7b9802aa097065ae01a825913ad398ce96252f',
    authority: null,
  },
  google: {
    summary: 'Google Cloud EK/AK CA Root: vTPMs of Shielded and Confidential VMs',
    source: 'gcp_ek_ak_ca_root.crt as distributed with google/go-tpm-tools (server/ca-certs, commit 67670e5)',
    certificateSha256: '594759594b9b61524f6c8ef668f7177f7b9066bc0674f2f49fe9e052be78beb2',
    authority: {
      subject: hex(
        '307e310b3009060355040613025553311330110603550408130a43616c69666f726e6961311630140603550407130d4d',
        '6f756e7461696e205669657731133011060355040a130a476f6f676c65204c4c4331153013060355040b130c476f6f67',
        '6c6520436c6f7564311630140603550403130d454b2f414b20434120526f6f74',
      ),
      issuer: hex(
        '307e310b3009060355040613025553311330110603550408130a43616c69666f726e6961311630140603550407130d4d',
        '6f756e7461696e205669657731133011060355040a130a476f6f676c65204c4c4331153013060355040b130c476f6f67',
        '6c6520436c6f7564311630140603550403130d454b2f414b20434120526f6f74',
      ),
      serial: 0xa65da4f9e328f38035c3a73d4f72432bdf15dcn,
      notBefore: Date.UTC(2022, 6, 8, 0, 40, 34),
      notAfter: Date.UTC(2122, 6, 8, 5, 57, 23),
      publicKey: hex(
        '30820222300d06092a864886f70d01010105000382020f003082020a02820201009d25f550a8c8964b4a897c2b284da5',
        'b4bba419ee89c13aa6daddb71016211d939cbc52831345891eddaeda1fc48d2bb9c7a8088a6c6bd34720aaf3dec33f37',
        'f13c98534788902ec957f7a4fa660e92c9650d6a7bcc87929192b372a3dece58616b4479c0957f336ce0cb4abc67c0f9',
        '6281e3d03a3688bc47d4751a89cb20deb04975f790fd626d19f434681daa07e045ee470b790a0218d9eac713f046f548',
        '695a0721b31395a81939cd6f289f932c7da146715d526caafdaaeb5d56ddaa5b3f17207aff33e495d051baeb43b11b3b',
        '44ad2b50ec291b0a2ee0fe60bc63ac1450e14788379587a7a1b4be06223a9b479ba60a67141e98efe454c2d1cec9b501',
        '81fb78d3857a470120a4634aaa64e66e2e774e2aba6e9fd21063de213f3def83bc86d584b87d22d02e9c848640f03d75',
        '81207c0fea5a2afea54ecb577a61a4b78686e965f06ff362642117785e8346ee211ef469abf34fc88b010af154c35164',
        '910633020dfedabc6224f7fb711921c4aaaba1801a38ae570dcd22c5c2dfe0ae489190e466c3a78f4b73a5563c779678',
        '5bf04941a0c4a5eae6bd7e3d1b286202ba4b886179c817117e5ced1b5ae9370594415bd172bd7e9cb576bf3d2de146c5',
        '4069743bcac4344b326dc541e9fcae647f3d245e11c26c6aa6d43ffabb3dcee4d117c5f4c6fa01f3d97e7aa0a58250f8',
        '8152afd1234525b5c0f70bd37ce84cfe3b0203010001',
      ),
      subjectKeyId: hex('49e74a5b5629f59d79b7a6303c03b28fe714dd4c'),
      pathLength: null,
      keyUsage: ['keyCertSign', 'cRLSign'],
    },
  },
  'google-host': {
    summary: 'Google tpm_ek_v1_cloud_host_root: older vTPMs of Shielded VMs',
    source: 'tpm_ek_root_1.cer as distributed with google/go-tpm-tools (server/ca-certs, commit 67670e5)',
    certificateSha256: '9bd5285f8fb18502a7947e621ffd470266f49fcd3b73e19a190f690ad32a7caf',
    authority: {
      subject: hex(
        '3081be310b3009060355040613025553311330110603550408130a43616c69666f726e6961311630140603550407130d',
        '4d6f756e7461696e205669657731133011060355040a130a476f6f676c65204c4c43310e300c060355040b1305436c6f',
        '7564315d305b06035504030c5474706d5f656b5f76315f636c6f75645f686f73745f726f6f742d7369676e65722d302d',
        '323031382d30342d30365431303a35383a32362d30373a3030204b3a312c20313a5077303033487346594f343a303a31',
        '38',
      ),
      issuer: hex(
        '3081be310b3009060355040613025553311330110603550408130a43616c69666f726e6961311630140603550407130d',
        '4d6f756e7461696e205669657731133011060355040a130a476f6f676c65204c4c43310e300c060355040b1305436c6f',
        '7564315d305b06035504030c5474706d5f656b5f76315f636c6f75645f686f73745f726f6f742d7369676e65722d302d',
        '323031382d30342d30365431303a35383a32362d30373a3030204b3a312c20313a5077303033487346594f343a303a31',
        '38',
      ),
      serial: 0x6f0e24b18dbe4e538c4f96c3a8265ac1n,
      notBefore: Date.UTC(2018, 3, 6, 17, 58, 26),
      notAfter: Date.UTC(2118, 3, 6, 18, 58, 26),
      publicKey: hex(
        '30820222300d06092a864886f70d01010105000382020f003082020a0282020100fbc23ba4ee57f8e92786ae615a3ef4',
        '32ad76c0bb10fe695edc97c2f6e70a3da44fef093c66fefad389ca58a10d23b604daeda95ba492257c757618d0c40db9',
        'f3e29d29c164feecd515cde05f7d934b522377b94c8d83c111415748dcbbbad8665cf1de63b596d369ffd515037cf12f',
        '3ebadd23e7a0105450d9579d8f7426e74e2dfc1734febc2a20adfd8206ed7ac844c63c897345ad34bd04895a2dbf8b22',
        '09a1dbd14dfd8710b17b00cae9bcdf916850b7032eaceb4e303edeb7d1bd02f0aeae50b0970456e658551412e6d77845',
        'b443cf818b4331ed453d0349ef3d68502775a2bc8788bf58b0e8388f1227c07c9be56f3960d89f1ffba8fe8db029e271',
        '583b050cd8a80b654d31d4ce2e4d776a7b1dcdc56dba9853be0474d4ed140c03b08f793747fe2c2df044ad71bc681a45',
        '276725e92584d56c74ed344c392601576490afa8ecf8a3d92b36cb05bdb911f9827a2c9dfb30896c407bd2efc097c1af',
        '830db616bb7af03072faa446f04916077e015ba03aec0e082deb1c512ab9aa145a936bbd2045315a285a0b347cc31c4a',
        'd6188febd177d68d0ed807b1b81242f0850e6a3dd6572a44573062a0dff09990c193bdc983b38dbffbdcc06cc51cee5e',
        '9790f7f2ff4ab2202f7cd2ecb2d3c9b6d0dcb24ee7ddafcfeb0493afcffc83994863d287934b54b4b38c77d4b8c47ad2',
        '127ccc6a37e101c9fe9d66e9a1df939da10203010001',
      ),
      subjectKeyId: hex('65f4e4e6aaf6fd5ad2889ca85355f7008e08f7a5'),
      pathLength: null,
      keyUsage: ['digitalSignature', 'keyCertSign', 'cRLSign'],
    },
  },
} as const satisfies Readonly<Record<string, VendorAnchorFacts>>

/**
 * Trust anchors of makers of virtual TPMs, as facts (EKC-01, tpm.md section 9). No certificate is shipped: the key
 * alone verifies what it signed, and a certificate that is brought along must have the pinned digest.
 */
export const vendorAnchorFacts: Readonly<Record<VendorAnchorName, VendorAnchorFacts>> = facts

export const vendorAnchorNames = Object.keys(facts) as VendorAnchorName[]

export function isVendorAnchorName(text: string): text is VendorAnchorName {
  return Object.hasOwn(facts, text)
}

/**
 * The anchor `name`. `certificate` is the operator's copy; it must have the pinned digest, else
 * `trust_anchor_mismatch` is thrown. Without it the facts must hold the key, else `trust_anchor_incomplete`.
 */
export function vendorAnchor(name: VendorAnchorName, certificate?: Certificate): TrustAnchor {
  const { certificateSha256, authority } = vendorAnchorFacts[name]
  if (certificate) return { ...anchorOf(requirePinned(certificate, certificateSha256)), name }
  if (!authority) {
    throw endorsementErrors.error('trust_anchor_incomplete', `the key of the trust anchor ${name} is not known here`)
  }
  const { subject, issuer, pathLength, keyUsage, ...rest } = authority
  const nameOf = (der: Uint8Array): DistinguishedName => parseName(der, `trustAnchors.${name}`)
  return {
    name,
    fingerprints: [certificateSha256],
    authority: {
      ...rest,
      subject: nameOf(subject),
      issuer: nameOf(issuer),
      basicConstraints: { ca: true, pathLength },
      keyUsage: new Set(keyUsage),
      criticalExtensions: [extensionIds.keyUsage, extensionIds.basicConstraints],
      constrainsNames: false,
    },
  }
}

/** Gives `certificate` back if its SHA-256 is `sha256` (lower-case hexadecimal), else throws `trust_anchor_mismatch`. */
export function requirePinned(certificate: Certificate, sha256: string): Certificate {
  if (certificate.fingerprint === sha256) return certificate
  throw endorsementErrors.error(
    'trust_anchor_mismatch',
    `the certificate has the SHA-256 ${certificate.fingerprint}; pinned is ${sha256}`,
  )
}
