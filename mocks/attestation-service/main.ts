import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { parseCertificate } from '../../src/base/pki/certificate.ts'
import { parsePem } from '../../src/base/pki/pem.ts'
import { anchorOf } from '../../src/base/pki/trust-anchor.ts'
import { parseCollateral } from '../../src/endorsements/tdx/collateral.ts'
import { judgeQuotes } from './judge-quotes.ts'
import { openAttestationService } from './service.ts'

const { values } = parseArgs({
  options: {
    'trust-anchor': { type: 'string' },
    collateral: { type: 'string' },
    port: { type: 'string', default: '0' },
    simulator: { type: 'boolean', default: false },
  },
})
const { 'trust-anchor': anchorFile, collateral: collateralFile, port, simulator } = values
if (anchorFile === undefined || collateralFile === undefined) {
  throw new Error('--trust-anchor FILE and --collateral FILE are needed')
}
const root = parseCertificate(parsePem(readFileSync(anchorFile, 'latin1'), 'CERTIFICATE'))
const judge = judgeQuotes({
  trustAnchors: [{ ...anchorOf(root), simulator }],
  collateral: () => parseCollateral(new Uint8Array(readFileSync(collateralFile))),
})
const service = await openAttestationService({ judge, port: Number(port) })
process.stderr.write('attestation service double: for tests and demonstrations only; its tokens protect nothing\n')
process.stdout.write(`${JSON.stringify({ url: service.url, issuer: service.url, pid: process.pid })}\n`)
await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
await service.close()
