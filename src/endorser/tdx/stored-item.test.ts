import { describe, expect, it } from 'vitest'
import { CollateralIssuer } from '../../../mocks/tdx/collateral.ts'
import { rigNow, rigPki } from '../../../test/support/collateral-rig.ts'
import { itemsOfBundle } from './bundle-items.ts'
import type { ItemKey } from './item-key.ts'
import { nameOfItem } from './item-key.ts'
import { encodeStoredItem, parseStoredItem, type StoredItem } from './stored-item.ts'

const fmspc = rigPki.platform.fmspc
const keys: readonly ItemKey[] = [
  { kind: 'tcb-info', tee: 'tdx', fmspc, update: 'standard' },
  { kind: 'qe-identity', tee: 'tdx', update: { evaluationNumber: 17 } },
  { kind: 'pck-crl', ca: 'platform' },
  { kind: 'root-crl' },
]
const items = itemsOfBundle(new CollateralIssuer(rigPki, rigNow).bundle())
const stored: StoredItem[] = keys.flatMap((key) => {
  const item = items.find(({ kind }) => kind === key.kind)
  return item ? [{ key, item, fetchedAt: rigNow }] : []
})

describe('a stored item (TDX-215)', () => {
  it.each(stored)('$key comes back as it was', (each) => {
    expect(parseStoredItem(encodeStoredItem(each), nameOfItem(each.key))).toEqual(each)
  })

  it('under another name is refused', () => {
    for (const each of stored) {
      expect(() => parseStoredItem(encodeStoredItem(each), 'pck-crl-processor')).toThrow('another item')
    }
  })

  it.each([
    ['a number of a half', { key: { kind: 'qe-identity', tee: 'tdx', update: { evaluationNumber: 17.5 } } }],
    ['a number beyond all', { key: { kind: 'qe-identity', tee: 'tdx', update: { evaluationNumber: 1e308 } } }],
    ['a number that is text', { key: { kind: 'qe-identity', tee: 'tdx', update: { evaluationNumber: '17' } } }],
    ['a time that is text', { fetchedAt: '0' }],
    ['no time', { fetchedAt: null }],
  ] as const)('of %s is refused, whoever made its checksum', (_, change) => {
    const each = stored.find(({ key }) => key.kind === 'qe-identity')
    if (!each) throw new Error('no item')
    const forged = { ...each, ...change } as unknown as StoredItem
    expect(() => parseStoredItem(encodeStoredItem(forged), nameOfItem(forged.key))).toThrow(
      expect.objectContaining({ code: 'MALFORMED' }),
    )
  })

  it('has a name of its own for every number, platform and TEE (TDX-210)', () => {
    const names = keys.map(nameOfItem)
    expect(names).toEqual([
      `tdx-tcb-info-${fmspc}-standard`,
      'tdx-qe-identity-number-17',
      'pck-crl-platform',
      'root-crl',
    ])
    expect(nameOfItem({ kind: 'qe-identity', tee: 'sgx', update: { evaluationNumber: 18 } })).toBe(
      'sgx-qe-identity-number-18',
    )
  })

  it('with any byte changed, or cut anywhere, is refused', () => {
    const [each] = stored
    if (!each) throw new Error('no item')
    const bytes = encodeStoredItem(each)
    const name = nameOfItem(each.key)
    for (let at = 0; at < bytes.length; at += 37) {
      const changed = Uint8Array.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(() => parseStoredItem(changed, name)).toThrow(expect.objectContaining({ code: 'MALFORMED' }))
      expect(() => parseStoredItem(bytes.subarray(0, at), name)).toThrow(expect.objectContaining({ code: 'MALFORMED' }))
    }
  })
})
