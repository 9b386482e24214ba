import { describe, expect, it } from 'vitest'
import { openTcpSurface } from '../../../test/support/tcp-surface-room.ts'
import { gceMetadata } from './gce-metadata.ts'

const path = '/computeMetadata/v1/instance/service-accounts/default/identity'
const a = `${path}?audience=https%3A%2F%2Fa.example`
const flavor = ['Metadata-Flavor: Google']

describe('the identity of the metadata server of GCE (API-163)', () => {
  it.each([a, `${a}&format=full`, `${a}&format=standard`])('is a bare token: %s', async (target) => {
    const { ask, provider } = await openTcpSurface(gceMetadata({ issuer: null }))
    const { status, headers, body } = await ask(target, flavor)
    expect([status, headers['content-type'], headers['metadata-flavor']]).toEqual([200, 'text/html', 'Google'])
    const [asked] = provider.asked
    expect(asked?.request.audience).toEqual(['https://a.example'])
    expect(body).toBe(asked && provider.tokenFor(asked.request).token)
  })

  it.each([
    ['no flavour', []],
    ['another flavour', ['Metadata-Flavor: google']],
    ['the flavour twice', [...flavor, ...flavor]],
    ['what a browser would add', [...flavor, 'Origin: http://127.0.0.1:8006']],
    ['what a proxy would add', [...flavor, 'X-Forwarded-For: 10.0.0.1']],
  ])('with %s is 403', async (_what, headers) => {
    const { ask, provider } = await openTcpSurface(gceMetadata({ issuer: null }))
    const answer = await ask(a, headers)
    expect([answer.status, answer.headers['attestd-error']]).toEqual([403, 'browser_or_proxy'])
    expect(provider.asked).toEqual([])
  })

  it.each([
    ['no audience', path, 400],
    ['an empty audience', `${path}?audience=`, 400],
    ['two audiences', `${a}&audience=x`, 400],
    ['another format', `${a}&format=jwt`, 400],
    ['something else', `${a}&licenses=TRUE`, 400],
    ['an audience that no rule allows', `${path}?audience=https://b.example`, 403],
    ['another account', a.replace('default', 'other'), 404],
    ['the access token', path.replace('identity', 'token'), 404],
    ['the root', '/', 404],
  ])('with %s is refused as %s %i, in plain text, with the flavour', async (_what, target, status) => {
    const { ask, provider } = await openTcpSurface(gceMetadata({ issuer: null }))
    const answer = await ask(target, flavor)
    expect([answer.status, answer.headers['metadata-flavor']]).toEqual([status, 'Google'])
    expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8')
    expect(provider.asked).toEqual([])
  })

  it('is decided by the user of the connection alone (API-124)', async () => {
    const { ask, callAs } = await openTcpSurface(gceMetadata({ issuer: 'remote' }))
    callAs(1002)
    expect((await ask(a, flavor)).headers['attestd-error']).toBe('policy_denied')
    callAs(null)
    expect((await ask(a, flavor)).headers['attestd-error']).toBe('caller_unidentified')
  })
})
