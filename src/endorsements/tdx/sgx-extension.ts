import { toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { type DerCursor, identifiers, openDer } from '../../base/pki/der-cursor.ts'

/** Settings of a platform with more than one processor package (extension `.7`). */
export interface PlatformConfiguration {
  readonly dynamicPlatform: boolean
  readonly cachedKeys: boolean
  readonly smtEnabled: boolean
}

/** Intel's extension 1.2.840.113741.1.13.1 of a PCK certificate (TDX-121). */
export interface SgxExtension {
  /** 16 bytes: identifies the machine; never in claims unless asked for (TDX-253). */
  readonly ppid: Uint8Array
  /** 16 values of 0 to 255: the SGX TCB of the platform. */
  readonly components: readonly number[]
  readonly pceSvn: number
  /** 16 bytes. Not for comparisons: the components are (TDX-121). */
  readonly cpuSvn: Uint8Array
  /** 4 lower-case hexadecimal digits. */
  readonly pceId: string
  /** 12 lower-case hexadecimal digits. */
  readonly fmspc: string
  /** 0 Standard, 1 Scalable, 2 Scalable with Integrity. */
  readonly sgxType: 0 | 1 | 2
  /** 16 bytes; null in certificates of the processor CA. */
  readonly platformInstanceId: Uint8Array | null
  readonly configuration: PlatformConfiguration | null
}

export const sgxExtensionId = '1.2.840.113741.1.13.1'

/** `sgxExtensionId` as content octets. */
const sgxArcs = Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01)
const [ppid, tcb, pceId, fmspc, sgxType, platformInstanceId, configuration] = [1, 2, 3, 4, 5, 6, 7]
const [pceSvn, cpuSvn] = [17, 18]
const componentCount = 16
/** Elements of DER; real values have 54 or 66. */
const maximumElements = 128

/**
 * Parses the content of the extension, exactly (TDX-121): the five entries of every PCK certificate, and both or neither
 * of the two that the platform CA adds; each once, in any order, sizes and ranges exact, nothing else. An entry twice
 * or of another size would be read otherwise by another verifier. Throws only `MalformedError`.
 */
export function parseSgxExtension(der: Uint8Array, path = 'sgxExtension'): SgxExtension {
  const entries = readEntries(openDer(der, path, maximumElements), { id: sgxExtensionId, octets: sgxArcs })
  if (entries.count !== 5 && entries.count !== 7)
    throw entries.malformed(null, `has ${entries.count} entries, not 5 or 7`)
  const isPlatform = entries.count === 7
  return {
    ppid: entries.octets(ppid, 16),
    ...readTcb(entries.nested(tcb)),
    pceId: toHex(entries.octets(pceId, 2)),
    fmspc: toHex(entries.octets(fmspc, 6)),
    sgxType: readType(entries),
    platformInstanceId: isPlatform ? entries.octets(platformInstanceId, 16) : null,
    configuration: isPlatform ? readConfiguration(entries.nested(configuration)) : null,
  }
}

function readTcb(entries: Entries): Pick<SgxExtension, 'components' | 'pceSvn' | 'cpuSvn'> {
  entries.requireCount(18)
  const components: number[] = []
  for (let arc = 1; arc <= componentCount; arc++) components.push(entries.integer(arc, 255))
  return { components, pceSvn: entries.integer(pceSvn, 65_535), cpuSvn: entries.octets(cpuSvn, 16) }
}

function readType(entries: Entries): 0 | 1 | 2 {
  const type = entries.integer(sgxType, 2, identifiers.enumerated)
  return type === 0 || type === 1 ? type : 2
}

function readConfiguration(entries: Entries): PlatformConfiguration {
  entries.requireCount(3)
  return {
    dynamicPlatform: entries.boolean(1),
    cachedKeys: entries.boolean(2),
    smtEnabled: entries.boolean(3),
  }
}

/** An identifier in dots, and its content octets. */
interface Parent {
  readonly id: string
  readonly octets: Uint8Array
}

/** The sequence that comes next: entries of an identifier below `parent` and a value. */
function readEntries(list: DerCursor, parent: Parent): Entries {
  const values = new Map<number | string, DerCursor>()
  const entries = list.enter()
  while (!entries.atEnd) {
    const entry = entries.enter()
    // What is not below the parent counts as an entry, and is not asked for.
    const arc = entry.arcBelow(parent.octets) ?? entry.objectIdentifier()
    if (values.has(arc)) throw twice(list.path, typeof arc === 'string' ? arc : `${parent.id}.${arc}`)
    values.set(arc, entry)
  }
  return new Entries(values, parent, list.path)
}

function twice(path: string, id: string): MalformedError {
  return new MalformedError({ path }, `has ${id} twice`)
}

/** Values by the last arc of their identifier; each cursor stands before one value. */
class Entries {
  #values: ReadonlyMap<number | string, DerCursor>
  #parent: Parent
  #path: string

  constructor(values: ReadonlyMap<number | string, DerCursor>, parent: Parent, path: string) {
    this.#values = values
    this.#parent = parent
    this.#path = path
  }

  get count(): number {
    return this.#values.size
  }

  malformed(arc: number | null, problem: string): MalformedError {
    return new MalformedError({ path: arc === null ? this.#path : `${this.#path}.${this.#parent.id}.${arc}` }, problem)
  }

  requireCount(count: number): void {
    if (this.count !== count) throw this.malformed(null, `has ${this.count} entries, must have ${count}`)
  }

  #value(arc: number): DerCursor {
    const value = this.#values.get(arc)
    if (!value) throw this.malformed(arc, 'is missing')
    return value
  }

  octets(arc: number, size: number): Uint8Array {
    const value = this.#value(arc)
    const octets = value.content(identifiers.octetString)
    value.requireEnd()
    if (octets.length !== size) throw this.malformed(arc, `has ${octets.length} bytes, must have ${size}`)
    return octets
  }

  integer(arc: number, maximum: number, identifier: number = identifiers.integer): number {
    const value = this.#value(arc)
    const integer = value.smallInteger(maximum, identifier)
    value.requireEnd()
    if (integer === null) throw this.malformed(arc, `is not 0 to ${maximum}`)
    return integer
  }

  boolean(arc: number): boolean {
    const value = this.#value(arc)
    const boolean = value.boolean()
    value.requireEnd()
    return boolean
  }

  nested(arc: number): Entries {
    const value = this.#value(arc)
    const { id, octets } = this.#parent
    const entries = readEntries(value, { id: `${id}.${arc}`, octets: Uint8Array.of(...octets, arc) })
    value.requireEnd()
    return entries
  }
}
