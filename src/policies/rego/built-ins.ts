/**
 * Built-ins that a policy may use besides those that its compiler writes into it (POL-963): ours, and of the library
 * `json.is_valid`, whose time and space can be told beforehand. YAML and `regex.split` cannot: what they make of a short
 * text may take minutes or all memory. Whatever else a module declares is not offered, also if a later library has it.
 */
const offeredBuiltIns: ReadonlySet<string> = new Set([
  ...['query_reference_value', 'time.now_ns', 'json.is_valid', 'sprintf'],
])

/** Those of the names that no policy gets, sorted. */
export function builtInsNotOffered(declared: readonly string[]): readonly string[] {
  return declared.filter((name) => !offeredBuiltIns.has(name)).sort()
}
