import { concatBytes } from '../../base/bytes.ts'
import { mostTableEntries } from './opa-module.ts'
import type { WasmTable } from './wasm-module.ts'

/** LEB128 of at most 32 bits. */
function unsigned(value: number): number[] {
  const rest = Math.floor(value / 128)
  return rest === 0 ? [value % 128] : [(value % 128) | 0x80, ...unsigned(rest)]
}

/**
 * The same module with a table that cannot grow above `mostTableEntries`: policies can make a table longer while they run,
 * and one without a maximum takes hundreds of megabytes in an instant. A policy that tries is told that it cannot, as
 * WebAssembly has it. `table` is the only one of the module.
 */
export function withBoundedTable(wasm: Uint8Array, table: WasmTable | null): Uint8Array {
  if (table === null) return wasm
  const { type, minimum, maximum, section } = table
  const most = Math.min(maximum ?? mostTableEntries, mostTableEntries)
  const content = [1, type, 1, ...unsigned(minimum), ...unsigned(most)]
  const bounded = Uint8Array.from([4, ...unsigned(content.length), ...content])
  return concatBytes(wasm.subarray(0, section.start), bounded, wasm.subarray(section.end))
}
