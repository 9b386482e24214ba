import { describe, expect, it } from 'vitest'
import { rawRequest } from '../../test/support/raw-http.ts'
import { openAdminRoom, openRoom, post, request } from '../../test/support/workload-room.ts'
import { AttestdError, type ErrorKind } from '../base/errors.ts'
import { registryErrors } from '../registry/errors.ts'
import { storeErrors } from '../registry/store-errors.ts'

const name = `000b${'5a'.repeat(32)}`
const others = {
  status: () => ({}),
  refresh: () => undefined,
  invalidate: () => 0,
  reload: async () => [],
}

async function openRegistry(failure: Error | null = null) {
  const calls: string[] = []
  const called = async (...call: string[]) => {
    calls.push(call.join(' '))
    if (failure !== null) throw failure
    return { said: call }
  }
  const registry = {
    list: (after: string) => called('list', after),
    show: (akName: string) => called('show', akName),
    decide: (akName: string, decision: string) => called(decision, akName),
    release: (ekName: string) => called('release', ekName),
  }
  const path = await openAdminRoom({ admin: { ...others, registry } })
  const ask = async (text: string) => {
    const { status, body } = await rawRequest(path, text)
    return { status, body: body === '' ? null : JSON.parse(body) }
  }
  return { path, calls, ask }
}

const registry = '/v1/admin/registry'

describe('the routes of the registry', () => {
  it.each<[string, string]>([
    [request('GET', registry), 'list '],
    [request('GET', `${registry}?after=`), 'list '],
    [request('GET', `${registry}?after=000b`), 'list 000b'],
    [request('GET', `${registry}?after=${name}`), `list ${name}`],
    [request('GET', `${registry}?after=${'f'.repeat(132)}`), `list ${'f'.repeat(132)}`],
    [request('GET', `${registry}/${name}`), `show ${name}`],
    [request('POST', `${registry}/${name}/suspend`), `suspend ${name}`],
    [request('POST', `${registry}/${name}/resume`), `resume ${name}`],
    [post(`${registry}/${name}/revoke`, {}), `revoke ${name}`],
    [post(`${registry}/release`, { ek: name }), `release ${name}`],
    [request('GET', `${registry}/0004${'5a'.repeat(20)}`), `show 0004${'5a'.repeat(20)}`],
    [request('GET', `${registry}/000d${'5a'.repeat(64)}`), `show 000d${'5a'.repeat(64)}`],
  ])('%j', async (text, call) => {
    const { ask, calls } = await openRegistry()
    const { status, body } = await ask(text)
    expect([status, body]).toEqual([200, { said: call.split(' ') }])
    expect(calls).toEqual([call])
  })

  it.each<[string, number]>([
    [request('GET', `${registry}?after=000B`), 400],
    [request('GET', `${registry}?after=${'f'.repeat(133)}`), 400],
    [request('GET', `${registry}?before=00`), 400],
    [request('GET', `${registry}?after=00&after=01`), 400],
    [request('GET', `${registry}/${name}?after=00`), 400],
    [request('POST', `${registry}/${name}/revoke?hard=1`), 400],
    [post(`${registry}/${name}/revoke`, { reason: 'x' }), 400],
    [post(`${registry}/release`, {}), 400],
    [post(`${registry}/release`, { ek: [name] }), 400],
    [post(`${registry}/release`, { ek: name.toUpperCase() }), 400],
    [post(`${registry}/release`, { ek: ` ${name}` }), 400],
    [post(`${registry}/release`, { ek: `${name}\n` }), 400],
    [post(`${registry}/release`, { ek: name.slice(1) }), 400],
    [post(`${registry}/release`, { ek: name, ak: name }), 400],
    [request('POST', `${registry}/release`), 400],
    [request('GET', `${registry}/release`), 405],
    [request('POST', `${registry}/${name}`), 405],
    [request('GET', `${registry}/${name}/revoke`), 405],
    [request('POST', registry), 405],
    [request('GET', `${registry}/`), 404],
    [request('GET', `${registry}/{name}`), 404],
    [request('GET', `${registry}/%7bname%7d`), 404],
    [request('GET', `${registry}/${name.toUpperCase()}`), 404],
    [request('GET', `${registry}/${name}0`), 404],
    [request('GET', `${registry}/${name}/`), 404],
    [request('GET', `${registry}//${name}`), 404],
    [request('GET', `/x${registry}/${name}`), 404],
    [request('GET', `${registry}/../registry/${name}`), 404],
    [request('GET', `${registry}/%30${name.slice(1)}`), 404],
    [request('GET', `${registry}/0004${'5a'.repeat(19)}`), 404],
    [request('GET', `${registry}/000d${'5a'.repeat(65)}`), 404],
    [request('POST', `${registry}/${name}/release`), 404],
    [request('POST', `${registry}/${name}/toString`), 404],
    [request('DELETE', `${registry}/${name}`), 405],
  ])('%j is refused with %i, and asks the registry nothing', async (text, status) => {
    const { ask, calls } = await openRegistry()
    expect((await ask(text)).status).toBe(status)
    expect(calls).toEqual([])
  })

  it.each<[AttestdError, number]>([
    [registryErrors.error('ak_unknown', 'not there'), 404],
    [registryErrors.error('enrolment_state', 'ended', { facts: { state: 'revoked', reason: 'operator' } }), 403],
    [registryErrors.error('enrolment_conflict', 'others'), 503],
    ...(['registry_unavailable', 'registry_storage_full', 'registry_corrupt', 'registry_statement'] as const).map(
      (code): [AttestdError, number] => [storeErrors.error(code, 'the database'), 503],
    ),
    [storeErrors.error('registry_access', 'the database'), 500],
  ])('tell what the registry says: %s', async (failure, status) => {
    const { ask } = await openRegistry(failure)
    const { body } = await ask(request('POST', `${registry}/${name}/revoke`))
    const { code, message, remedy, facts } = failure
    expect(body).toMatchObject({ status, code, detail: message, remedy, ...facts })
    expect(body.title).not.toBe(code)
  })

  it('tell nothing of an error that is no answer of the registry', async () => {
    const kind: ErrorKind = 'forbidden'
    const { ask } = await openRegistry(new AttestdError('OTHER', { kind, title: 'x', remedy: 'y' }, 'SECRET'))
    const { status, body } = await ask(request('GET', registry))
    expect([status, JSON.stringify(body).includes('SECRET')]).toEqual([500, false])
  })

  it('exist on the admin listener alone, and there only with a registry (API-02)', async () => {
    const { path: api } = await openRoom()
    const without = await openAdminRoom({ admin: others })
    const asked = [
      request('GET', registry),
      request('GET', `${registry}/${name}`),
      request('POST', `${registry}/${name}/revoke`),
      post(`${registry}/release`, { ek: name }),
    ]
    for (const text of asked) {
      for (const path of [api, without]) expect((await rawRequest(path, text)).status).toBe(404)
    }
  })
})
