import { parseText } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { isJsonObject, type JsonObject, type JsonValue, parseJsonObject, parseUtf8 } from '../../base/json.ts'
import { cutSignedObject } from '../../endorsements/tdx/signed-document.ts'
import type { CollateralItem } from './collateral-item.ts'
import { decodeIssuerChain, requireIssuerChain } from './issuer-chain.ts'
import type { ItemKey } from './item-key.ts'
import { sliceOfJson } from './json-span.ts'
import type { Tee, UpdateSet } from './query.ts'

/** The file `platform_collaterals.json` of Intel's client tool (TDX-220). */
export interface PlatformCollaterals {
  readonly text: string
  readonly collaterals: JsonObject
}

const malformed = (path: string, says: string) => new MalformedError({ path: `collaterals.${path}` }, says)

/** The object of the file, or null if it is a file of another kind. Throws `MalformedError` for what is no strict JSON. */
export function openPlatformCollaterals(bytes: Uint8Array): PlatformCollaterals | null {
  const text = parseUtf8(bytes, 'collaterals')
  const { collaterals } = parseJsonObject(text, 'collaterals')
  return isJsonObject(collaterals) ? { text, collaterals } : null
}

function memberAt(object: JsonObject, path: readonly string[]): JsonValue | undefined {
  let value: JsonValue | undefined = object
  for (const name of path) value = isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined
  return value
}

function chainAt({ collaterals }: PlatformCollaterals, path: readonly string[]): string {
  const value = memberAt(collaterals, ['certificates', ...path])
  const name = path.join('.')
  if (typeof value !== 'string') throw malformed(name, 'is missing')
  // PEM has no percent sign, and a percent-encoded chain of certificates does not go without its line ends.
  return value.includes('%') ? decodeIssuerChain(value, name) : requireIssuerChain(value, name)
}

function listAt({ collaterals }: PlatformCollaterals, path: readonly string[]): Uint8Array | null {
  const value = memberAt(collaterals, path)
  if (value === undefined || value === null || value === '') return null
  if (typeof value !== 'string') throw malformed(path.join('.'), 'is not a string')
  return parseText(value.toLowerCase(), 'hex', path.join('.'))
}

const identityNames: Readonly<Record<Tee, string>> = { sgx: 'qeidentity', tdx: 'tdqeidentity' }

/** Where the document stands in the file; sets of one evaluation number do not occur there. */
function memberName(stem: string, update: UpdateSet): string | null {
  if (typeof update === 'object') return null
  return update === 'early' ? `${stem}_early` : stem
}

/** The document as it stands, then as it would be without white space, if the file was indented (TDX-221). */
function* textsOf(
  file: PlatformCollaterals,
  path: readonly (string | number)[],
  member: 'tcbInfo' | 'enclaveIdentity',
) {
  const slice = sliceOfJson(file.text, ['collaterals', ...path])
  if (slice === null || slice === 'null' || slice === '""') return
  const cut = cutSignedObject(new TextEncoder().encode(slice), member)
  yield cut
  const again = JSON.stringify(parseJsonObject(cut.text, member))
  if (again !== cut.text) yield { ...cut, text: again }
}

function documentsOf(
  file: PlatformCollaterals,
  key: ItemKey & { readonly kind: 'tcb-info' | 'qe-identity' },
  path: readonly (string | number)[],
): CollateralItem[] {
  const isTcb = key.kind === 'tcb-info'
  const header = isTcb ? 'TCB-Info-Issuer-Chain' : 'SGX-Enclave-Identity-Issuer-Chain'
  const texts = [...textsOf(file, path, isTcb ? 'tcbInfo' : 'enclaveIdentity')]
  return texts.map((text) => ({ kind: key.kind, ...text, issuerChain: chainAt(file, [header]) }))
}

function tcbInfosOf(file: PlatformCollaterals, key: ItemKey & { readonly kind: 'tcb-info' }): CollateralItem[] {
  const infos = file.collaterals['tcbinfos']
  const name = memberName(`${key.tee}_tcbinfo`, key.update)
  if (!Array.isArray(infos) || name === null) return []
  return infos.flatMap((info, at) => {
    const fmspc = isJsonObject(info) ? info['fmspc'] : undefined
    const wanted = typeof fmspc === 'string' && fmspc.toLowerCase() === key.fmspc
    return wanted ? documentsOf(file, key, ['tcbinfos', at, name]) : []
  })
}

/**
 * The item `key` of the file, unverified: more than one text where the file may have been indented, of which one
 * verifies (TDX-221); none if the file has no such item. Throws `MalformedError`.
 */
export function itemsInPlatformCollaterals(file: PlatformCollaterals, key: ItemKey): readonly CollateralItem[] {
  switch (key.kind) {
    case 'tcb-info':
      return tcbInfosOf(file, key)
    case 'qe-identity': {
      const name = memberName(identityNames[key.tee], key.update)
      return name === null ? [] : documentsOf(file, key, [name])
    }
    case 'pck-crl': {
      const der = listAt(file, ['pckcacrl', `${key.ca}Crl`])
      const chain = ['SGX-PCK-Certificate-Issuer-Chain', key.ca.toUpperCase()]
      return der ? [{ kind: key.kind, der, issuerChain: chainAt(file, chain) }] : []
    }
    case 'root-crl': {
      const der = listAt(file, ['rootcacrl'])
      return der ? [{ kind: key.kind, der, issuerChain: null }] : []
    }
  }
}
