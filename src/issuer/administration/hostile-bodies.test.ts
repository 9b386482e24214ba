import fc from 'fast-check'
import { expect, it } from 'vitest'
import { makeLocalAdministration } from '../../../test/support/local-administration.ts'
import { forgeJws, makePolicySigner, x5cOf } from '../../../test/support/policy-signers.ts'
import { toBase64 } from '../../base/bytes.ts'

const signer = makePolicySigner()
const der = toBase64(signer.authority.certificate.der)
const anyJson = fc.json({ maxDepth: 4 })
const anyHeader = fc.oneof(
  anyJson,
  fc.record(
    {
      alg: fc.constantFrom('none', 'RS256', 'ES256', 'HS256', 1, null),
      x5c: fc.constantFrom(x5cOf(signer), [], [''], 'x', [1], null),
      crit: fc.constantFrom([], ['x']),
    },
    { requiredKeys: ['alg'] },
  ),
)
const anyPayload = fc.oneof(anyJson, fc.record({ AttestationPolicy: fc.oneof(fc.base64String(), fc.string()) }))
const anyJws = fc
  .tuple(anyHeader, anyPayload, fc.boolean())
  .map(([header, payload, isSigned]) => forgeJws(header, payload, isSigned ? signer : undefined))
/** A certificate with some of its characters changed. */
const anyCertificate = fc.oneof(
  fc.base64String(),
  fc.string(),
  fc.tuple(fc.nat(der.length - 1), fc.constantFrom('A', '/', '=', '-')).map(([at, character]) => {
    const text = der.slice(0, at) + character + der.slice(at + 1)
    return text === der ? '' : text
  }),
)
const anyMember = fc.oneof(fc.jsonValue(), anyJws, anyCertificate, fc.integer())
const anyMembers = fc.record(
  { number: anyMember, jws: anyMember, certificate: anyMember, constructor: fc.jsonValue() },
  { requiredKeys: [] },
)
const anyBody = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc.oneof(anyJws, anyJson, fc.string()).map((text) => Buffer.from(text)),
  anyMembers.map((members) => Buffer.from(JSON.stringify(members))),
)
const operations = [
  ['PUT', '/policies/type:TdxVm', 'application/octet-stream'],
  ['PUT', '/policies/id:site', 'text/plain'],
  ['POST', '/policies/type:TdxVm/restore', 'application/json'],
  ['POST', '/policies/type:TdxVm/reset', 'application/json'],
  ['POST', '/signers', 'application/json'],
  ['DELETE', `/signers/${'0'.repeat(64)}`, 'application/json'],
] as const

it('whatever the body is, the administration answers, nothing is a bug and nothing is changed', async () => {
  const room = makeLocalAdministration()
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...operations), anyBody, async ([method, path, type], payload) => {
      const { statusCode } = await room.app.inject({
        ...{ method, url: `/v1/admin${path}`, headers: { 'content-type': type }, payload },
      })
      expect([200, 400, 403, 404]).toContain(statusCode)
      expect(room.bugs).toEqual([])
    }),
    { numRuns: 800 },
  )
  // Nothing that was made up is a policy; who signs is not judged by the signature of a certificate.
  expect(room.changes.filter(({ event }) => event !== 'policy.signer.added')).toEqual([])
})

it('whatever the path is, the administration answers, and nothing is a bug', async () => {
  const room = makeLocalAdministration()
  const anyPath = fc.tuple(
    fc.constantFrom('/v1/admin/policies/', '/v1/admin/signers/', '/v1/admin/', '/', '//', '/v1/admin/policies/id:'),
    fc.oneof(fc.string(), fc.webPath(), fc.constantFrom('%', '%00', '%ff', '..', 'x'.repeat(300), 'type:Tpm/compare')),
    fc.constantFrom('', '?before=1', '?from=1&to=1', '?%', '?#', '?before=%00', `?after=id:x&${'x'.repeat(300)}=1`),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...(['GET', 'PUT', 'POST', 'DELETE'] as const)),
      anyPath,
      async (method, [start, rest, query]) => {
        // What no HTTP parser lets through does not come here.
        fc.pre(/^[\x21-\x7e]*$/.test(rest) && !/^[/\\]{2}/.test(start + rest))
        const body = method === 'GET' ? {} : { headers: { 'content-type': 'text/plain' }, payload: 'x' }
        const { statusCode } = await room.app.inject({ method, url: `${start}${rest}${query}`, ...body })
        expect([200, 400, 403, 404, 415]).toContain(statusCode)
        expect(room.bugs).toEqual([])
      },
    ),
    { numRuns: 600 },
  )
  expect(room.changes).toEqual([])
})
