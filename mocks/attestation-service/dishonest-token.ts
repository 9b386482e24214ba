import { randomUUID } from 'node:crypto'
import type { JsonObject } from '../../src/base/json.ts'
import { signToken } from '../../src/issuer/sign-token.ts'
import type { SigningKey } from '../../src/issuer/signing-key.ts'
import { composeAlibabaClaims } from '../../src/results/alibaba-claims.ts'
import type { Misbehaviour } from './misbehaviour.ts'

/** What an honest token would be made of. */
export interface HonestToken {
  readonly issuer: string
  readonly key: SigningKey
  /** Another key under the same `kid`. */
  readonly foreignKey: SigningKey
  readonly tdx: JsonObject
  /** Seconds since the epoch. */
  readonly now: number
}

type Change = (claims: JsonObject) => void

/** Changes members of `tcb-status`, which is a text. */
function inStatus(change: (members: JsonObject) => void): Change {
  return (claims) => {
    const members: JsonObject = JSON.parse(String(claims['tcb-status']))
    change(members)
    claims['tcb-status'] = JSON.stringify(members)
  }
}

const moved =
  (seconds: number): Change =>
  (claims) => {
    for (const name of ['iat', 'nbf', 'exp']) claims[name] = Number(claims[name]) + seconds
  }

const changes: Readonly<Partial<Record<Misbehaviour, Change>>> = {
  'another-td': inStatus((members) => {
    members['tdx.quote.body.mr_td'] = 'ee'.repeat(48)
  }),
  'another-report-data': inStatus((members) => {
    members['report_data'] = members['tdx.quote.body.report_data'] = 'ee'.repeat(64)
  }),
  'other-audience': (claims) => {
    claims['aud'] = 'https://another.example'
  },
  'second-audience': (claims) => {
    claims['aud'] = [String(claims['aud']), 'https://another.example']
    claims['azp'] = 'another'
  },
  'other-issuer': (claims) => {
    claims['iss'] = 'https://another.example'
  },
  'debug-td': inStatus((members) => {
    members['tdx.quote.body.td_attributes'] = '0100001000000000'
    members['tdx.td_attributes.debug'] = true
  }),
  'of-tomorrow': moved(3_600),
  'of-yesterday': moved(-45),
  expired: (claims) => {
    claims['exp'] = Number(claims['iat']) + 5
  },
  simulated: (claims) => {
    claims['attestd'] = { simulated: true }
  },
  'no-echo': inStatus((members) => {
    delete members['tdx.quote.body.rtmr_2']
  }),
  'unknown-member': inStatus((members) => {
    members['tdx.quote.body.rtmr_4'] = '00'.repeat(48)
  }),
}

/** A token that lies in one respect and is signed by the service, or by somebody else; undefined if none is asked for. */
export async function signDishonest(kind: Misbehaviour, honest: HonestToken): Promise<string | undefined> {
  const { issuer, key, foreignKey, tdx, now } = honest
  const change = changes[kind]
  if (change === undefined && kind !== 'other-key') return undefined
  const claims = composeAlibabaClaims({
    issuer,
    issuedAt: now,
    expiresAt: now + 21_600,
    jti: randomUUID(),
    tee: 'tdx',
    claims: { tdx },
    simulated: false,
    policies: [{ id: 'default', hash: null }],
  })
  change?.(claims)
  return signToken(claims, kind === 'other-key' ? foreignKey : key)
}
