/** `now` cut to whole seconds, still in milliseconds: certificates count seconds, and both bounds are inclusive. */
export function secondOf(now: number): number {
  // Every comparison with NaN is false, so that nothing would ever be expired (TDX-262).
  if (!Number.isFinite(now)) throw new TypeError('now is not a time')
  return Math.floor(now / 1000) * 1000
}
