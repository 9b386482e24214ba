/**
 * Hash algorithms as Linux names and numbers them (`include/uapi/linux/hash_info.h`): the number is the place in this
 * list, the size is in bytes. Templates name them, signatures number them (IMA-18).
 */
export const kernelHashes = [
  { name: 'md4', size: 16 },
  { name: 'md5', size: 16 },
  { name: 'sha1', size: 20 },
  { name: 'rmd160', size: 20 },
  { name: 'sha256', size: 32 },
  { name: 'sha384', size: 48 },
  { name: 'sha512', size: 64 },
  { name: 'sha224', size: 28 },
  { name: 'rmd128', size: 16 },
  { name: 'rmd256', size: 32 },
  { name: 'rmd320', size: 40 },
  { name: 'wp256', size: 32 },
  { name: 'wp384', size: 48 },
  { name: 'wp512', size: 64 },
  { name: 'tgr128', size: 16 },
  { name: 'tgr160', size: 20 },
  { name: 'tgr192', size: 24 },
  { name: 'sm3', size: 32 },
  { name: 'streebog256', size: 32 },
  { name: 'streebog512', size: 64 },
  { name: 'sha3-256', size: 32 },
  { name: 'sha3-384', size: 48 },
  { name: 'sha3-512', size: 64 },
] as const

export type KernelHash = (typeof kernelHashes)[number]['name']

/** `sm3-256` was the name of SM3 before Linux 5.17. */
const entries: readonly (readonly [string, KernelHash, number])[] = [
  ...kernelHashes.map(({ name, size }) => [name, name, size] as const),
  ['sm3-256', 'sm3', 32],
]

const byName: ReadonlyMap<string, { readonly name: KernelHash; readonly size: number }> = new Map(
  entries.map(([text, name, size]) => [text, { name, size }]),
)

/** The algorithm that a template names so, with its digest size in bytes. */
export function kernelHashOf(text: string): { readonly name: KernelHash; readonly size: number } | undefined {
  return byName.get(text)
}

/** The algorithm with this number in a signature. */
export function kernelHashNumbered(number: number): KernelHash | undefined {
  return kernelHashes[number]?.name
}
