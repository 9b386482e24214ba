import { describe, expect, it } from 'vitest'
import { ConnectionLedger } from './connection-ledger.ts'

const ledger = () => new ConnectionLedger({ connections: 3, tcpConnections: 2, adminReserve: 2, connectionsPerUid: 2 })
const take = (from: ConnectionLedger, listener: string, times: number) =>
  Array.from({ length: times }, () => from.takePlace(listener))

describe('places for connections (API-23)', () => {
  it('are counted together for all listeners; only administrators have more', () => {
    const places = ledger()
    expect(take(places, 'api', 2).concat(take(places, 'admin', 1))).not.toContain(null)
    expect(places.takePlace('api')).toBeNull()
    expect(take(places, 'admin', 3).map((place) => place === null)).toEqual([false, false, true])
    expect(places.open).toBe(5)
  })

  it('come back once, however often they are given back', () => {
    const places = ledger()
    const [first] = take(places, 'api', 3)
    first?.()
    first?.()
    expect(places.open).toBe(2)
    expect(take(places, 'api', 2).map((place) => place === null)).toEqual([false, true])
  })

  it('of TCP listeners together are a part of all, and come back once', () => {
    const places = ledger()
    const [first] = take(places, 'tcp:github', 1)
    expect(take(places, 'tcp:gcp', 2).map((place) => place === null)).toEqual([false, true])
    expect(places.takePlace('api')).not.toBeNull()
    expect(places.takePlace('api')).toBeNull()
    first?.()
    first?.()
    expect(take(places, 'tcp:github', 2).map((place) => place === null)).toEqual([false, true])
  })

  it('of the reserve come back to the reserve', () => {
    const places = ledger()
    take(places, 'api', 3)
    const [reserved] = take(places, 'admin', 2)
    reserved?.()
    reserved?.()
    expect(places.takePlace('api')).toBeNull()
    expect(take(places, 'admin', 2).map((place) => place === null)).toEqual([false, true])
  })

  it('of one user leave the others theirs, and come back once', () => {
    const places = ledger()
    const [first] = [places.takePlaceOf(7), places.takePlaceOf(7)]
    expect(places.takePlaceOf(7)).toBeNull()
    expect(places.takePlaceOf(8)).not.toBeNull()
    first?.()
    first?.()
    expect([places.takePlaceOf(7), places.takePlaceOf(7)].map((place) => place === null)).toEqual([false, true])
  })
})
