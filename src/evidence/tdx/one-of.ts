import { type Layout, mapped } from '../../base/layout.ts'

function isOneOf<N extends number>(allowed: readonly N[], value: number): value is N {
  return allowed.some((number) => number === value)
}

/** A number that must be one of few; its type is their union. */
export function oneOf<N extends number>(inner: Layout<number>, allowed: readonly N[]): Layout<N> {
  return mapped(
    inner,
    (value, refuse) => {
      if (!isOneOf(allowed, value))
        throw refuse(`is ${value}, must be ${allowed.join(', ').replace(/, (\d+)$/, ' or $1')}`)
      return value
    },
    (value) => value,
  )
}
